"""The old and the new release work on one data file while jobs run: an upgrade needs no pause."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.chaos.kills import until_all_ended
from tests.chaos.processes import free_port
from tests.chaos.stores import SqliteLook

PREVIOUS = Path(__file__).parent / "previous.zip"
JOBS = 150

CONFIG = """
home: {home}
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
def running(arguments: Sequence[str], log: Path, *, previous: bool = False) -> Generator["Process"]:
    """A process of this release, or of the previous one, until the block ends."""
    environment = dict(os.environ)
    if previous:
        environment["PYTHONPATH"] = str(PREVIOUS)
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
    """The command lines of one release on the common home."""

    def __init__(self, home: Path, name: str, engine_port: int) -> None:
        self.home, self.name = home, name
        self.port = free_port()
        self.config = home / f"{name}.yaml"
        self.config.write_text(CONFIG.format(home=home, port=self.port, engine=engine_port))
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def part(self, command: str) -> Generator[Process]:
        """Its gateway or a worker."""
        arguments = ["headpond", command, "--config", str(self.config)]
        log = self.home / f"{self.name}-{command}.log"
        with running(arguments, log, previous=self.name == "previous") as process:
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


@pytest.mark.timeout(180)
@pytest.mark.no_cover
async def test_two_releases_share_the_work_on_one_file(tmp_path: Path) -> None:
    # SPEC G7 Q3
    engine_port = free_port()
    engine = ["headpond.testing.engine_server", "--port", str(engine_port), "--model", "model"]
    previous = Release(tmp_path, "previous", engine_port)
    current = Release(tmp_path, "current", engine_port)
    database = tmp_path / "headpond.db"
    with (
        running([*engine, "--decode-ms", "5"], tmp_path / "engine.log"),
        previous.part("gateway") as old_gateway,
        previous.part("worker") as old_worker,
    ):
        async with aiohttp.ClientSession() as session:
            await until_ready(session, previous)
            before = schema_version(database)
            first = await submit_all(session, previous, "first")
            with current.part("gateway"), current.part("worker") as new_worker:
                await until_ready(session, current)
                assert schema_version(database) > before
                by_old, by_new = await asyncio.gather(
                    submit_all(session, previous, "old"), submit_all(session, current, "new")
                )
                # The key of a job that the other release took leads to the same job.
                assert await submit(session, current, "old-0") == by_old[0]
                assert await submit(session, previous, "new-0") == by_new[0]
                new_worker.kill()
                with current.part("worker"):
                    counts = await until_all_ended(SqliteLook(database))
                async with session.get(f"{previous.url}/jobs/{by_new[0]}") as answer:
                    assert (await answer.json())["status"] == "succeeded"
        jobs = {*first, *by_old, *by_new}
        assert len(jobs) == 3 * JOBS
        assert counts == {"succeeded": 3 * JOBS}
        assert (old_gateway.poll(), old_worker.poll()) == (None, None)
    with sqlite3.connect(database) as connection:
        (results,) = connection.execute("SELECT count(*) FROM responses").fetchone()
        workers = {
            json.loads(record)["worker"]
            for (record,) in connection.execute("SELECT record FROM jobs")
        }
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (0,)
    assert results == 3 * JOBS
    assert len(workers) >= 2


def schema_version(database: Path) -> int:
    """The version that the file says it has."""
    with sqlite3.connect(database) as connection:
        return connection.execute("PRAGMA user_version").fetchone()[0]
