"""The old and the new release work on one store while jobs run: an upgrade needs no pause."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from tests.chaos.kills import until_all_ended
from tests.chaos.processes import free_port
from tests.chaos.stores import Look, PostgresLook, SqliteLook
from tests.postgres import PostgresServer

HERE = Path(__file__).parent
PREVIOUS = {
    "sqlite": HERE / "previous-sqlite.zip",
    "postgresql": HERE / "previous-postgres.zip",
}
"""The package as it was before the store's schema last grew."""

JOBS = 150

CONFIG = """
home: {home}
store: {store}
gateway: {{port: {port}}}
pools:
  default:
    engine: {{url: 'http://127.0.0.1:{engine}'}}
    models: [model]
    lease_s: 2
    max_in_flight: 4
reaper: {{every_s: 1, accepted_grace_s: 2}}
log: {{level: warning}}
"""


@contextmanager
def running(
    arguments: Sequence[str], log: Path, *, package: Path | None = None
) -> Generator["Process"]:
    """A process of this release, or of that in `package`, until the block ends."""
    environment = dict(os.environ)
    if package is not None:
        environment["PYTHONPATH"] = str(package)
    with log.open("ab") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", *arguments], env=environment, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


Process = subprocess.Popen[bytes]


class Release:
    """The command lines of one release on the common home and store."""

    def __init__(
        self, home: Path, name: str, engine_port: int, store: str = "sqlite:///headpond.db"
    ) -> None:
        self.home, self.name = home, name
        self._package = PREVIOUS[store.partition(":")[0]] if name == "previous" else None
        self.port = free_port()
        self.config = home / f"{name}.yaml"
        self.config.write_text(
            CONFIG.format(home=home, port=self.port, engine=engine_port, store=store)
        )
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def part(self, command: str) -> Generator[Process]:
        """Its gateway or a worker."""
        arguments = ["headpond", command, "--config", str(self.config)]
        log = self.home / f"{self.name}-{command}.log"
        with running(arguments, log, package=self._package) as process:
            yield process


async def until_ready(session: aiohttp.ClientSession, release: Release) -> None:
    """Until its gateway answers."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with session.get(f"{release.url}/readyz") as answer:
                    if answer.ok:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


async def submit(session: aiohttp.ClientSession, release: Release, key: str) -> str:
    """One job under a key; its id."""
    body = {"prompt": f"prompt {key}", "model": "model", "max_tokens": 8}
    headers = {"Idempotency-Key": key}
    async with session.post(f"{release.url}/jobs", json=body, headers=headers) as answer:
        assert answer.status == 202, await answer.text()
        return (await answer.json())["job_id"]


async def submit_all(session: aiohttp.ClientSession, release: Release, prefix: str) -> list[str]:
    return [await submit(session, release, f"{prefix}-{number}") for number in range(JOBS)]


@dataclass(frozen=True)
class Shared:
    """The store that both work on. `version` asks for that of its schema."""

    url: str
    look: Look
    version: str


@pytest.fixture(params=["sqlite", "postgres"])
async def shared(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shared]:
    """With nothing in it."""
    if request.param == "sqlite":
        look = SqliteLook(tmp_path / "headpond.db")
        yield Shared("sqlite:///headpond.db", look, "PRAGMA user_version")
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = "shared_by_releases"
    default = PostgresLook(server.url)
    await default.rows(f"CREATE DATABASE {name}")
    url = server.url_of(name)
    yield Shared(url, PostgresLook(url), "SELECT version FROM headpond_schema")
    await default.rows(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.timeout(180)
@pytest.mark.no_cover
async def test_two_releases_share_the_work_on_one_store(shared: Shared, tmp_path: Path) -> None:
    # SPEC G7 Q3
    engine_port = free_port()
    engine = ["headpond.testing.engine_server", "--port", str(engine_port), "--model", "model"]
    previous = Release(tmp_path, "previous", engine_port, shared.url)
    current = Release(tmp_path, "current", engine_port, shared.url)
    look = shared.look
    with (
        running([*engine, "--decode-ms", "5"], tmp_path / "engine.log"),
        previous.part("gateway") as old_gateway,
        previous.part("worker") as old_worker,
    ):
        async with aiohttp.ClientSession() as session:
            await until_ready(session, previous)
            before = await look.rows(shared.version)
            first = await submit_all(session, previous, "first")
            with current.part("gateway"), current.part("worker") as new_worker:
                await until_ready(session, current)
                assert await look.rows(shared.version) > before
                by_old, by_new = await asyncio.gather(
                    submit_all(session, previous, "old"), submit_all(session, current, "new")
                )
                # The key of a job that the other release took leads to the same job.
                assert await submit(session, current, "old-0") == by_old[0]
                assert await submit(session, previous, "new-0") == by_new[0]
                new_worker.kill()
                with current.part("worker"):
                    counts = await until_all_ended(look)
                async with session.get(f"{previous.url}/jobs/{by_new[0]}") as answer:
                    assert (await answer.json())["status"] == "succeeded"
        jobs = {*first, *by_old, *by_new}
        assert len(jobs) == 3 * JOBS
        assert counts == {"succeeded": 3 * JOBS}
        assert (old_gateway.poll(), old_worker.poll()) == (None, None)
    assert [tuple(row) for row in await look.rows("SELECT count(*) FROM responses")] == [
        (3 * JOBS,)
    ]
    assert await look.rows("SELECT * FROM messages") == []
    records = [record for (record,) in await look.rows("SELECT record FROM jobs")]
    assert len({json.loads(record)["worker"] for record in records}) >= 2
