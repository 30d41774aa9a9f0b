"""Processes beside those of the next release lose nothing that it wrote. SPEC G7."""

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from tests.chaos.kills import until_all_ended
from tests.chaos.processes import free_port
from tests.chaos.stores import SqliteLook
from tests.unit.adapters.sqlite.test_foreign import upgrade
from tests.upgrade.test_side_by_side import Release, running, submit, until_ready

JOBS = 12


async def until_a_job_ended(look: SqliteLook) -> None:
    """Until the worker has come: one that comes to the file of a newer release refuses it."""
    async with asyncio.timeout(60):
        while True:
            if await look.rows("SELECT 1 FROM jobs WHERE state = 'succeeded'"):
                return
            await asyncio.sleep(0.05)


@pytest.mark.timeout(180)
@pytest.mark.no_cover
async def test_fields_of_the_next_release_survive_processes_of_this_one(tmp_path: Path) -> None:
    """The next release is played by a statement: its schema's number, and a field of its own."""
    engine_port = free_port()
    engine = ["headpond.testing.engine_server", "--port", str(engine_port), "--model", "model"]
    release = Release(tmp_path, "current", engine_port)
    database = tmp_path / "headpond.db"
    with (
        running([*engine, "--decode-ms", "100"], tmp_path / "engine.log"),
        release.part("gateway"),
        release.part("worker"),
    ):
        async with aiohttp.ClientSession() as session:
            await until_ready(session, release)
            for number in range(JOBS):
                await submit(session, release, str(number))
            await until_a_job_ended(SqliteLook(database))
            upgrade(database)
            assert await until_all_ended(SqliteLook(database)) == {"succeeded": JOBS}
            after = await submit(session, release, "after-the-upgrade")
            await until_all_ended(SqliteLook(database))
    with closing(sqlite3.connect(database)) as connection:
        records = dict(connection.execute("SELECT id, record FROM jobs"))
    assert "hue" not in json.loads(records.pop(after))
    assert [json.loads(record)["hue"] for record in records.values()] == [[7]] * JOBS
