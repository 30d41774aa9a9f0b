"""What all tests share."""

import faulthandler
import logging
import os
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import coverage
import pytest
from hypothesis import settings

from headpond.adapters.logs.setup import StderrHandler
from headpond.adapters.postgres.database import Database
from tests.command_line import Headpond
from tests.emulators.proton_library import build_proton
from tests.postgres import NoPostgresError, PostgresServer, emptied, running_server
from tests.redis_server import Daemon, running

MEASURE_CHILDREN = "COVERAGE_PROCESS_CONFIG"
"""The variable by which coverage.py's `patch = ["subprocess"]` reaches them."""

TEARDOWN_S = 120

# How long an example takes says something about the machine, not about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_configure(config: pytest.Config) -> None:
    """What takes a while to build, and several processes may want."""
    del config
    build_proton(wanted="CI" in os.environ)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """`no_cover` in pytest-xdist's processes, and in those that a test starts, too.

    Of several measurings there, pytest-cov stops the last. What random runs reach by the way says
    nothing, and to write it down takes longer than the run.
    """
    stopped: list[coverage.Coverage] = []
    of_children = None
    try:
        if item.get_closest_marker("no_cover") is not None:
            of_children = os.environ.pop(MEASURE_CHILDREN, None)
            while (measuring := coverage.Coverage.current()) is not None:
                measuring.stop()
                stopped.append(measuring)
        return (yield)
    finally:
        for measuring in reversed(stopped):
            measuring.start()
        if of_children is not None:
            os.environ[MEASURE_CHILDREN] = of_children


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, object, object]:
    """Behind a test that ran out of time its teardown may wait for ever: then the process ends."""
    faulthandler.dump_traceback_later(TEARDOWN_S, exit=True, file=2)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def anyio_backend() -> str:
    """The product runs on asyncio."""
    return "asyncio"


@pytest.fixture
def headpond(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Headpond:
    """The command line, in this process."""
    return Headpond(monkeypatch, capsys, tmp_path / "home")


@pytest.fixture(scope="session")
def valkey_of_all_tests(tmp_path_factory: pytest.TempPathFactory) -> Generator[Daemon]:
    """One server for every test of this process that does not restart it."""
    with running(tmp_path_factory.mktemp("valkey"), "--appendonly", "no") as server:
        yield server


@pytest.fixture
def valkey(valkey_of_all_tests: Daemon) -> Daemon:
    """A server with nothing in it."""
    return valkey_of_all_tests.empty()


@pytest.fixture(scope="session")
def redis_of_all_tests(tmp_path_factory: pytest.TempPathFactory) -> Generator[Daemon]:
    """As `valkey_of_all_tests`."""
    with running(tmp_path_factory.mktemp("redis"), "--appendonly", "no", kind="redis") as server:
        yield server


@pytest.fixture
def redis(redis_of_all_tests: Daemon) -> Daemon:
    """A Redis with nothing in it."""
    return redis_of_all_tests.empty()


@pytest.fixture(autouse=True)
def logging_as_before() -> Generator[None]:
    """What a test sets up for its process's logs ends with it: its stderr does too."""
    root = logging.getLogger()
    level = root.level
    yield
    root.setLevel(level)
    for handler in [handler for handler in root.handlers if isinstance(handler, StderrHandler)]:
        root.removeHandler(handler)


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    """A server for all tests of this process; where none can be had they are skipped."""
    try:
        with running_server() as server:
            yield server
    except NoPostgresError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(f"no PostgreSQL: {error}")


@pytest.fixture
async def postgres_database(postgres: PostgresServer) -> AsyncGenerator[Database]:
    """An open database with nothing in it."""
    opened = Database(postgres.url)
    await opened.open()
    await emptied(opened)
    yield opened
    await opened.close()
