"""Google's own emulators of Firestore and Pub/Sub, which come with its SDK, in Java.

They are to be had from no package registry. Where the SDK is not installed, what needs them is
skipped, and says so.
"""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PLATFORM = Path("/usr/lib/google-cloud-sdk/platform")
FIRESTORE = ("com.google.cloud.datastore.emulator.firestore.CloudFirestore", "start")
UP_WITHIN_S = 30.0


@contextmanager
def firestore_emulator() -> Generator[str]:
    """Sets `FIRESTORE_EMULATOR_HOST`, and yields it."""
    jar = _jar("cloud-firestore-emulator", "Firestore")
    with _running("FIRESTORE_EMULATOR_HOST", ("-cp", str(jar), *FIRESTORE)) as host:
        yield host


@contextmanager
def pubsub_emulator() -> Generator[str]:
    """Sets `PUBSUB_EMULATOR_HOST`, and yields it."""
    jar = _jar("pubsub-emulator/lib", "Pub/Sub")
    with _running("PUBSUB_EMULATOR_HOST", ("-jar", str(jar))) as host:
        yield host


def _jar(folder: str, what: str) -> Path:
    found = sorted((PLATFORM / folder).glob("*.jar"))
    if not found or shutil.which("java") is None:
        pytest.skip(f"{what} is untested: Google's emulator (Java, in its Cloud SDK) is not here")
    return found[-1]


@contextmanager
def _running(variable: str, arguments: Sequence[str]) -> Generator[str]:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = ("java", "-Xmx512m", "-XX:+UseSerialGC", *arguments, "--host=127.0.0.1")
    process = subprocess.Popen(  # noqa: S603 - our own command
        [*command, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(variable, f"127.0.0.1:{port}")
            yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + UP_WITHIN_S
    while process.poll() is None and time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise AssertionError("The emulator did not come up.")
