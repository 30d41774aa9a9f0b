"""A process of this release beside one of the next: what it does not know is not lost."""

import json
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import pytest

from headpond.adapters.sqlite.batches import SqliteBatchStore
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.endpoints import SqliteEndpointStore
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.adapters.sqlite.outbox import SqliteOutbox
from headpond.adapters.sqlite.schema import migrations
from headpond.domain.destination import Destination
from headpond.testing.batches_suite import a_batch
from headpond.testing.clocks import ManualClock
from headpond.testing.records import a_job, new_job
from headpond.testing.webhooks_suite import NOW, an_endpoint, an_event


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "headpond.db"


@pytest.fixture
async def database(path: Path) -> AsyncGenerator[Database]:
    opened = Database(path)
    opened.open()
    yield opened
    await opened.close()


def upgrade(path: Path) -> None:
    """As the next release would: its own schema, and a field of its own in every record."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"PRAGMA user_version = {len(migrations()) + 1}")
        for table in ("jobs", "batches", "webhook_endpoints", "webhook_dispatches"):
            connection.execute(
                f"UPDATE {table} SET record = json_set(record, '$.hue', json('[7]'))"  # noqa: S608
            )


def records(path: Path, table: str) -> list[dict[str, object]]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(f"SELECT record FROM {table}")  # noqa: S608 - our own tables
        return [json.loads(text) for (text,) in rows]


async def test_what_a_newer_release_wrote_is_kept_where_a_record_is_written_anew(
    database: Database, path: Path
) -> None:
    jobs = SqliteJobStore(database, ManualClock(NOW))
    batches, endpoints = SqliteBatchStore(database), SqliteEndpointStore(database)
    outbox = SqliteOutbox(database)
    job, batch, endpoint = a_job(), a_batch(), an_endpoint()
    await jobs.add(new_job(job))
    await batches.add(batch)
    await endpoints.add(endpoint)
    await outbox.publish(an_event())
    upgrade(path)

    assert await jobs.swap(job.claimed("worker", NOW))
    assert await jobs.swap(job.claimed("worker", NOW).returned(charged=False))
    assert not await jobs.swap(job.claimed("worker", NOW))
    assert await batches.swap(batch.begun(NOW, 1, None))
    assert await endpoints.swap(endpoint.updated(name="new"))
    assert not await endpoints.swap(an_endpoint("we_2").updated())
    (leased,) = await outbox.lease(Destination(endpoint.id), now=NOW, limit=1, lease_s=1)
    assert await outbox.swap(leased.delivered(NOW, 200))

    [kept_job] = records(path, "jobs")
    assert kept_job["hue"] == [7]
    # What this release knows is as it wrote it: a field that is at its default is left out.
    assert "worker" not in kept_job
    assert records(path, "batches")[0]["hue"] == [7]
    [kept_endpoint] = records(path, "webhook_endpoints")
    assert (kept_endpoint["hue"], kept_endpoint["name"]) == ([7], "new")
    [kept_dispatch] = records(path, "webhook_dispatches")
    assert (kept_dispatch["hue"], kept_dispatch["state"]) == ([7], "delivered")


async def test_a_job_that_ends_beside_a_newer_release_keeps_its_fields(
    database: Database, path: Path
) -> None:
    jobs = SqliteJobStore(database, ManualClock(NOW))
    job = (await jobs.add(new_job())).job
    upgrade(path)
    assert await jobs.swap(job.cancelled(NOW))
    assert records(path, "jobs")[0]["hue"] == [7]
