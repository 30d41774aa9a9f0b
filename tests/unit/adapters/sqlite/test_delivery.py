"""What is handed in at one moment shares statements; each still gets its own answer."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.delivery import SqliteDelivery
from headpond.adapters.sqlite.endpoints import SqliteEndpointStore
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.adapters.sqlite.outbox import SqliteOutbox
from headpond.domain.job import Job, JobError, Ticket, Usage
from headpond.domain.lane import lanes_of
from headpond.domain.outcome import Settlement
from headpond.domain.webhook_endpoint import EndpointId, callbacks_of
from headpond.domain.webhook_event import job_event
from headpond.ports.delivery import Claim
from headpond.ports.jobs import Added, Bodies, Existing, Idempotency, Try
from headpond.ports.outbox import DispatchQuery
from headpond.testing.clocks import ManualClock
from headpond.testing.records import a_job, new_job
from headpond.testing.webhooks_suite import an_endpoint

T = TypeVar("T")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def delivery(database: Database, clock: ManualClock) -> SqliteDelivery:
    return SqliteDelivery(
        database,
        clock=clock,
        new_ticket=lambda: Ticket("again"),
        lease_s=60.0,
        max_lost_leases=3,
    )


@pytest.fixture
def store(database: Database, clock: ManualClock) -> SqliteJobStore:
    return SqliteJobStore(database, clock)


async def in_one_commit(database: Database, *works: Coroutine[Any, Any, T]) -> list[T]:
    """Run them while the writer is busy, so that it takes them together."""
    go = threading.Event()
    held = asyncio.create_task(database.write(lambda _: go.wait(30)))
    tasks = [asyncio.create_task(work) for work in works]
    for _ in range(10):
        await asyncio.sleep(0)
    go.set()
    await held
    return list(await asyncio.gather(*tasks))


async def claims(delivery: SqliteDelivery, *jobs: Job) -> list[Claim]:
    for job in jobs:
        await delivery.submit(new_job(job))
    found = await delivery.claim(lanes_of(jobs[0].pool), worker="w", limit=10)
    return sorted(found, key=lambda claim: claim.job.id)


def succeeded(claim: Claim, clock: ManualClock) -> Settlement:
    after = claim.job.succeeded(clock.now(), engine="e", usage=Usage(1, 1))
    return Settlement(job=after, response=claim.job.id.encode())


async def test_a_key_that_comes_twice_at_one_moment_makes_one_job(
    database: Database, delivery: SqliteDelivery
) -> None:
    # SPEC G7
    key = Idempotency("key", "same", 2_000_000_000)
    keyed = [replace(new_job(a_job()), idempotency=key) for _ in range(3)]
    others = [new_job(a_job()) for _ in range(2)]
    news = [keyed[0], others[0], keyed[1], others[1], keyed[2]]

    results = await in_one_commit(database, *(delivery.submit(new) for new in news))

    assert [type(result) for result in results] == [Added, Added, Existing, Added, Existing]
    assert {results[0].job.id} == {results[2].job.id, results[4].job.id}
    assert len(await delivery.claim(lanes_of("default"), worker="w", limit=10)) == 3


async def test_a_retry_finds_the_first_try_of_the_same_moment(
    database: Database, delivery: SqliteDelivery
) -> None:
    news = [
        replace(new_job(a_job()), idempotency=Try("same", number, 2_000_000_000))
        for number in (0, 1)
    ]

    first, again = await in_one_commit(database, *(delivery.submit(new) for new in news))

    assert isinstance(first, Added)
    assert isinstance(again, Existing)
    assert again.job.id == first.job.id


async def test_a_claim_that_fell_does_not_harm_its_neighbours(
    database: Database, delivery: SqliteDelivery, store: SqliteJobStore, clock: ManualClock
) -> None:
    held = await claims(delivery, a_job(), a_job(), a_job())
    assert await store.swap(held[1].job.cancelled(clock.now()))

    settled = await in_one_commit(
        database, *(delivery.settle(claim, succeeded(claim, clock)) for claim in held)
    )

    assert settled == [True, False, True]
    jobs = [await store.get(claim.job.id) for claim in held]
    assert [job and job.state for job in jobs] == ["succeeded", "cancelled", "succeeded"]
    bodies = [await store.bodies(claim.job.id) for claim in held]
    assert [body and body.response for body in bodies] == [
        held[0].job.id.encode(),
        None,
        held[2].job.id.encode(),
    ]
    clock.advance(3600)
    assert await delivery.claim(lanes_of("default"), worker="w", limit=10) == []


async def test_the_same_settlement_twice_at_one_moment_is_written_once(
    database: Database, delivery: SqliteDelivery, store: SqliteJobStore, clock: ManualClock
) -> None:
    (claim,) = await claims(delivery, a_job())
    settlement = succeeded(claim, clock)

    settled = await in_one_commit(database, *(delivery.settle(claim, settlement) for _ in range(2)))

    assert settled == [True, True]
    bodies = await store.bodies(claim.job.id)
    assert isinstance(bodies, Bodies)
    assert bodies.response == settlement.response


async def test_a_settlement_tried_again_shares_a_commit_with_others(
    database: Database, delivery: SqliteDelivery, store: SqliteJobStore, clock: ManualClock
) -> None:
    # SPEC Q4
    held = await claims(delivery, a_job(), a_job())
    settlements = [succeeded(claim, clock) for claim in held]
    assert await delivery.settle(held[0], settlements[0])

    settled = await in_one_commit(database, *map(delivery.settle, held, settlements))

    assert settled == [True, True]
    bodies = [await store.bodies(claim.job.id) for claim in held]
    assert [body and body.response for body in bodies] == [
        settlement.response for settlement in settlements
    ]


async def test_of_two_settlements_of_a_job_at_one_moment_the_first_counts(
    database: Database, delivery: SqliteDelivery, store: SqliteJobStore, clock: ManualClock
) -> None:
    # SPEC Q4
    (claim,) = await claims(delivery, a_job())
    back = Settlement(job=claim.job.returned(charged=True), delay_s=5.0)

    settled = await in_one_commit(
        database,
        delivery.settle(claim, back),
        delivery.settle(claim, succeeded(claim, clock)),
    )

    assert settled == [True, False]
    bodies = await store.bodies(claim.job.id)
    assert isinstance(bodies, Bodies)
    assert bodies.response is None
    clock.advance(5.0)
    (again,) = await delivery.claim(lanes_of("default"), worker="w", limit=10)
    assert again.job.attempts == 2


async def test_who_is_to_be_told_is_found_out_for_a_commit_at_once(
    database: Database, delivery: SqliteDelivery, store: SqliteJobStore, clock: ManualClock
) -> None:
    # SPEC G3
    await SqliteEndpointStore(database).add(an_endpoint(team="listening"))
    held = await claims(
        delivery,
        a_job(team="listening"),
        a_job(team="silent"),
        a_job(team="silent", callback="https://example.com/done"),
        a_job(team="listening"),
        a_job(team="listening"),
    )
    assert await store.swap(held[3].job.failed(clock.now(), JobError("code", "why")))
    back = Settlement(job=held[4].job.returned(charged=True))

    settled = await in_one_commit(
        database,
        *(delivery.settle(claim, succeeded(claim, clock)) for claim in held[:4]),
        delivery.settle(held[4], back),
    )

    assert settled == [True, True, True, False, True]
    outbox = SqliteOutbox(database)
    told = await outbox.find(DispatchQuery(endpoint=EndpointId("we_1")))
    assert {dispatch.event.id for dispatch in told} == {
        job_event(succeeded(held[0], clock).job).id,
        job_event(held[3].job.failed(clock.now(), JobError("code", "why"))).id,
    }
    (called,) = await outbox.find(DispatchQuery(endpoint=callbacks_of("silent")))
    assert called.url == "https://example.com/done"


async def test_an_end_and_a_return_share_a_commit(
    database: Database, delivery: SqliteDelivery, clock: ManualClock
) -> None:
    ended, returned = await claims(delivery, a_job(), a_job())
    back = Settlement(job=returned.job.returned(charged=True), delay_s=5.0)

    settled = await in_one_commit(
        database,
        delivery.settle(ended, succeeded(ended, clock)),
        delivery.settle(returned, back),
    )

    assert settled == [True, True]
    assert await delivery.claim(lanes_of("default"), worker="w", limit=10) == []
    clock.advance(5.0)
    (again,) = await delivery.claim(lanes_of("default"), worker="w", limit=10)
    assert (again.job.id, again.job.attempts) == (returned.job.id, 2)


async def test_after_a_full_claim_the_next_one_shares_the_commit_of_settlements(
    database: Database, delivery: SqliteDelivery, clock: ManualClock
) -> None:
    for job in (a_job(), a_job()):
        await delivery.submit(new_job(job))
    lanes = lanes_of("default")
    (first,) = await delivery.claim(lanes, worker="w", limit=1)
    before = database.commits
    settled, (second,) = await asyncio.gather(
        delivery.settle(first, succeeded(first, clock)), delivery.claim(lanes, worker="w", limit=1)
    )
    assert (settled, second.job.id == first.job.id) == (True, False)
    assert database.commits == before + 1


async def test_after_a_full_claim_an_empty_lane_is_waited_for(
    delivery: SqliteDelivery,
) -> None:
    await delivery.submit(new_job(a_job()))
    lanes = lanes_of("default")
    assert len(await delivery.claim(lanes, worker="w", limit=1)) == 1
    waiting = asyncio.create_task(delivery.claim(lanes, worker="w", limit=1, wait_s=30.0))
    stored = await delivery.submit(new_job(a_job()))
    assert [claim.job.id for claim in await waiting] == [stored.job.id]
