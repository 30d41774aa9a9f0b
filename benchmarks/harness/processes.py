"""Starting and ending processes so that none outlives the benchmark."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.harness.errors import CannotRunError
from benchmarks.harness.paths import PROJECT

TAIL_CHARACTERS = 300


def say(line: str) -> None:
    """Write progress to standard error; standard output is kept for the result."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def free_port() -> int:
    """Return a TCP port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tail(text: str) -> str:
    """Return the end of a log as one line, for a reason that fits in a table."""
    return " ".join(text.split())[-TAIL_CHARACTERS:]


def end(process: subprocess.Popen[bytes], wait_s: float = 5) -> None:
    """Ask the process to stop, then kill it and whatever else is left of a group it leads."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(wait_s)
    process.kill()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def running(
    command: Sequence[str | Path],
    log: Path,
    *,
    user: tuple[int, int] | None = None,
    variables: Mapping[str, str] | None = None,
    own_group: bool = True,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server for the length of the block, its output in `log`.

    `user` is the (user id, group id) to run as; None keeps ours.  `variables` are added to our
    environment.  The process leads a group of its own, which ends with it; with `own_group` False
    it stays in ours and ends with us, however we end.
    """
    user_id, group_id = user if user is not None else (None, None)
    extra_groups: list[int] | None = None if user is None else []
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - the commands are the harness's own
            command,
            cwd=PROJECT,
            env={**os.environ, **(variables or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0 if own_group else None,
            user=user_id,
            group=group_id,
            extra_groups=extra_groups,
        )
    try:
        yield process
    finally:
        end(process)


def run_to_end(
    command: Sequence[str | Path],
    log: Path,
    *,
    limit_s: float,
    user: tuple[int, int] | None = None,
) -> None:
    """Run a command to its end; raise CannotRunError when it fails or takes longer than limit_s."""
    with running(command, log, user=user) as process:
        try:
            status = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            message = f"no result within {limit_s:.0f} s: {tail(log.read_text(errors='replace'))}"
            raise CannotRunError(message) from None
    if status != 0:
        message = f"exit status {status}: {tail(log.read_text(errors='replace'))}"
        raise CannotRunError(message)


def wait_until_ready(
    process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, limit_s: float
) -> None:
    """Wait for a server to answer; raise CannotRunError when it ends first or takes too long."""
    deadline_s = time.monotonic() + limit_s
    while not ready():
        if process.poll() is not None:
            message = f"the server ended at start: {tail(log.read_text(errors='replace'))}"
            raise CannotRunError(message)
        if time.monotonic() > deadline_s:
            message = f"not ready in {limit_s:.0f} s: {tail(log.read_text(errors='replace'))}"
            raise CannotRunError(message)
        time.sleep(0.02)


def accepts_connections(port: int) -> bool:
    """Say whether something listens on the port of the loopback interface."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def end_on_signals() -> None:
    """Turn SIGTERM into SystemExit, so that `finally` blocks end the processes we started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
