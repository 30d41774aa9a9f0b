"""The worker pulls at its engine's pace, writes one result a job, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import ParamSpec

import pytest
from typing_extensions import override

from headpond.domain.facts import (
    ClaimLost,
    DutyFailed,
    EngineHealth,
    EngineStarting,
    JobClaimed,
    JobSettled,
)
from headpond.domain.job import Job, JobError, JobState
from headpond.domain.lane import Lane, Priority
from headpond.domain.outcome import Broke, Died, Misconfigured, NotNow, Outcome, Refused, Settlement
from headpond.domain.retry import RetryPolicy
from headpond.errors import TooLarge, Unavailable
from headpond.ports.delivery import Claim
from headpond.ports.engine import Gauges
from headpond.services.worker import Worker
from headpond.settings import EngineSettings, PoolSettings
from headpond.testing.records import RESPONSE, a_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import ANSWER, Pond, ScriptedEngine

P = ParamSpec("P")


def virtually(test: Callable[P, Coroutine[object, object, None]]) -> Callable[P, None]:
    """Run the test on virtual time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtually(test(*args, **kwargs))

    return run


@asynccontextmanager
async def working(worker: Worker) -> AsyncGenerator[Worker]:
    """The worker runs inside the block and is drained at its end."""
    worker.start()
    try:
        yield worker
    finally:
        await worker.stop(grace_s=60)


def answers_after(seconds: float) -> Callable[[], Coroutine[object, object, Outcome]]:
    """An engine's script that takes a while."""

    async def script() -> Outcome:
        await asyncio.sleep(seconds)
        return ANSWER

    return script


def says(*outcomes: Outcome) -> Callable[[], Coroutine[object, object, Outcome]]:
    """An engine's script: each outcome once, then answers."""
    left = list(outcomes)

    async def script() -> Outcome:
        return left.pop(0) if left else ANSWER

    return script


@virtually
async def test_a_job_gets_its_result() -> None:
    pond, engine = Pond(), ScriptedEngine()
    async with working(pond.worker(engine)):
        (job,) = await pond.ended(await pond.submit())
    assert (job.state, job.usage, job.engine) == (JobState.SUCCEEDED, ANSWER.usage, "scripted")
    bodies = await pond.jobs.bodies(job.id)
    assert bodies is not None
    assert bodies.response == RESPONSE
    assert len(pond.ear.heard(JobClaimed)) == len(pond.ear.heard(JobSettled)) == 1


@virtually
async def test_a_job_says_which_version_answered_it_and_not_which_failed_before() -> None:
    # So long that the first worker has stopped before the job may be run again.
    retry = RetryPolicy(first_delay_s=60.0)
    pond = Pond(PoolSettings(model_version="v1", retry=retry))
    breaks = ScriptedEngine(script=says(Broke("500")))
    async with working(pond.worker(breaks, jitter=0.9)):
        job_id = await pond.submit()
        while (job := await pond.record(job_id)).last_error is None:
            await pond.jobs.wait_for_change(job_id, job.version, 3600)
    assert (job.state, job.model_version) == (JobState.QUEUED, None)
    pond.settings = PoolSettings(model_version="v2")
    async with working(pond.worker(ScriptedEngine())):
        (job,) = await pond.ended(job_id)
    assert (job.state, job.attempts, job.model_version) == (JobState.SUCCEEDED, 2, "v2")


@virtually
async def test_the_engine_is_kept_busy_but_not_over_its_limit() -> None:
    # SPEC W1
    pond, engine = Pond(), ScriptedEngine(script=answers_after(1.0))
    ids = [await pond.submit() for _ in range(40)]
    async with working(pond.worker(engine)):
        jobs = await pond.ended(*ids)
    assert {job.state for job in jobs} == {JobState.SUCCEEDED}
    assert engine.most_at_once == 8


@virtually
async def test_several_workers_share_the_work() -> None:
    pond, engines = Pond(), [ScriptedEngine(script=answers_after(1.0)) for _ in range(3)]
    ids = [await pond.submit() for _ in range(30)]
    async with working(pond.worker(engines[0], "a")), working(pond.worker(engines[1], "b")):
        await pond.ended(*ids)
    assert engines[0].asked + engines[1].asked == 30
    assert min(engines[0].asked, engines[1].asked) > 0


@virtually
async def test_nothing_is_pulled_before_the_engine_is_healthy() -> None:
    # SPEC W3
    pond, engine = Pond(), ScriptedEngine(is_healthy=False)
    job_id = await pond.submit()
    async with working(pond.worker(engine)):
        await asyncio.sleep(300)
        assert engine.asked == 0
        engine.is_healthy = True
        await pond.ended(job_id)
    assert [fact.healthy for fact in pond.ear.heard(EngineHealth)] == [True]
    assert len(pond.ear.heard(EngineStarting)) == 1


@virtually
async def test_an_engine_that_never_gets_healthy_is_given_up() -> None:
    # SPEC W3
    settings = PoolSettings(engine=EngineSettings(start_grace_s=300))
    pond, engine = Pond(settings), ScriptedEngine(is_healthy=False)
    job_id = await pond.submit()
    async with working(pond.worker(engine)) as worker:
        began = pond.clock.now()
        await worker.gave_up.wait()
        assert 300 <= pond.clock.now() - began <= 301
        engine.is_healthy = True
        await asyncio.sleep(60)
    assert (await pond.record(job_id)).state is JobState.QUEUED
    assert [fact.healthy for fact in pond.ear.heard(EngineHealth)] == [False]


@virtually
async def test_an_engine_that_was_healthy_once_is_never_given_up() -> None:
    settings = PoolSettings(engine=EngineSettings(start_grace_s=60))
    pond, engine = Pond(settings), ScriptedEngine()
    async with working(pond.worker(engine)) as worker:
        await pond.ended(await pond.submit())
        engine.is_healthy = False
        engine.script = says(NotNow("gone"))
        job_id = await pond.submit()
        await asyncio.sleep(144 * 60)  # as many times its grace as a day has of the default
        assert not worker.gave_up.is_set()
        engine.is_healthy = True
        await pond.ended(job_id)


@virtually
async def test_not_now_charges_nobody_and_pauses_the_pull() -> None:
    # SPEC W2
    pond, engine = Pond(), ScriptedEngine(script=says(NotNow("full", 120.0)))
    began = pond.clock.now()
    async with working(pond.worker(engine)):
        (job,) = await pond.ended(await pond.submit())
    assert (job.state, job.attempts) == (JobState.SUCCEEDED, 1)
    assert pond.clock.now() - began >= 120


@virtually
async def test_not_now_without_a_time_pauses_for_the_settings_time() -> None:
    pond, engine = Pond(), ScriptedEngine(script=says(NotNow("gone")))
    async with working(pond.worker(engine)):
        (job,) = await pond.ended(await pond.submit())
    assert job.attempts == 1


@virtually
async def test_a_job_that_ends_in_the_pause_does_not_end_the_pause() -> None:
    pond = Pond()
    script = says(NotNow("full", 120.0))

    async def slow_then_full() -> Outcome:
        await asyncio.sleep(0.1 if engine.at_once == 1 else 1.3)  # a pull waits for 1 s
        return await script()

    engine = ScriptedEngine(script=slow_then_full)
    began = pond.clock.now()
    async with working(pond.worker(engine)):
        first, second = await pond.ended(await pond.submit(), await pond.submit())
    ends = sorted((job.finished_at or 0) - began for job in (first, second))
    assert (first.state, second.state) == (JobState.SUCCEEDED, JobState.SUCCEEDED)
    assert ends[1] >= 120


@virtually
async def test_a_worker_that_is_stopped_while_it_asks_for_health_ends_at_once() -> None:
    class Slow(ScriptedEngine):
        @override
        async def healthy(self) -> bool:
            asking.set()
            await stopping.wait()
            return False

    asking, stopping = asyncio.Event(), asyncio.Event()
    worker = Pond().worker(Slow())
    worker.start()
    await asking.wait()
    stop = asyncio.create_task(worker.stop(grace_s=60))
    await asyncio.sleep(0)
    stopping.set()
    await stop


@virtually
async def test_a_bad_request_fails_at_once() -> None:
    # SPEC W5
    pond, engine = Pond(), ScriptedEngine(script=says(Refused("no such parameter")))
    async with working(pond.worker(engine)):
        (job,) = await pond.ended(await pond.submit())
    assert (job.state, job.attempts, engine.asked) == (JobState.FAILED, 1, 1)


@virtually
async def test_a_breakdown_is_tried_again_until_the_attempts_are_used() -> None:
    # SPEC Q3
    pond, engine = Pond(), ScriptedEngine(script=says(*[Broke("500")] * 9))
    async with working(pond.worker(engine)):
        (job,) = await pond.ended(await pond.submit())
    assert (job.state, job.attempts, engine.asked) == (JobState.DEAD, 3, 3)


@virtually
async def test_an_engine_that_says_zero_seconds_is_not_asked_in_a_loop() -> None:
    async def script() -> Outcome:
        return NotNow("full", 0.0)

    pond, engine = Pond(), ScriptedEngine(script=script)
    for _ in range(20):
        await pond.submit()
    async with working(pond.worker(engine)):
        await asyncio.sleep(60)
    assert engine.asked <= 60 * pond.settings.max_in_flight


@virtually
async def test_the_operators_fault_buries_nothing() -> None:
    turned_away = [Misconfigured("HTTP 401")] * 100
    pond, engine = Pond(), ScriptedEngine(script=says(*turned_away))
    ids = [await pond.submit() for _ in range(30)]
    async with working(pond.worker(engine)):
        jobs = await pond.ended(*ids)
    assert {(job.state, job.attempts) for job in jobs} == {(JobState.SUCCEEDED, 1)}
    told = pond.ear.heard(DutyFailed)
    assert {(fact.duty, fact.error) for fact in told} == {
        ("engine", "engine_misconfigured: scripted: HTTP 401")
    }
    assert len([fact for fact in told if fact.news]) < 100, "once a minute"


@virtually
async def test_an_engine_is_asked_for_its_health_after_a_breakdown() -> None:
    pond, engine = Pond(), ScriptedEngine()

    async def script() -> Outcome:
        engine.is_healthy = False
        return Broke("timeout", "engine_timeout")

    engine.script = script
    job_id = await pond.submit()
    async with working(pond.worker(engine)):
        await asyncio.sleep(3600)
        assert engine.asked <= 2  # the claim that was waiting when it broke may still come
        engine.script, engine.is_healthy = answers_after(0), True
        await pond.ended(job_id)


@virtually
async def test_a_request_that_kills_its_engine_is_buried_in_the_end() -> None:
    # SPEC W5
    async def script() -> Outcome:
        return Died("connection lost")

    pond, engine = Pond(), ScriptedEngine(script=script)
    async with working(pond.worker(engine)):
        (job,) = await pond.ended(await pond.submit())
    assert (job.state, job.attempts) == (JobState.DEAD, 1)
    assert engine.asked == pond.settings.retry.max_lost_leases + 1


@virtually
async def test_little_room_is_used_after_a_moment() -> None:
    # Seven of eight places are taken for an hour; the eighth must not stay empty.
    pond, engine = Pond(), ScriptedEngine(script=answers_after(3600))
    for _ in range(7):
        await pond.submit()
    async with working(pond.worker(engine)):
        await asyncio.sleep(5)
        engine.script = answers_after(0)
        began = pond.clock.now()
        await pond.ended(await pond.submit(a_job(priority=Priority.INTERACTIVE)))
        assert pond.clock.now() - began < 1


@virtually
async def test_a_request_that_waits_in_the_engine_takes_a_place() -> None:
    pond, engine = Pond(), ScriptedEngine(script=answers_after(100), load=Gauges(waiting=6))
    worker = pond.worker(engine)
    await worker.read_gauges()
    for _ in range(8):
        await pond.submit()
    async with working(worker):
        await asyncio.sleep(50)
        assert engine.most_at_once == 2


@virtually
async def test_a_full_cache_stops_the_pull() -> None:
    # SPEC W2
    pond, engine = Pond(), ScriptedEngine(load=Gauges(kv_usage=0.9))
    worker = pond.worker(engine)
    await worker.read_gauges()
    job_id = await pond.submit()
    async with working(worker):
        await asyncio.sleep(60)
        assert engine.asked == 0
        engine.load = Gauges(kv_usage=0.4, waiting=0, running=0)
        await pond.ended(job_id)


@virtually
async def test_interactive_work_goes_first() -> None:
    # SPEC Q4
    pond, engine = Pond(PoolSettings(max_in_flight=1)), ScriptedEngine()
    batch = await pond.submit()
    interactive = await pond.submit(a_job(priority=Priority.INTERACTIVE))
    async with working(pond.worker(engine)):
        await pond.ended(batch, interactive)
    claimed = [fact.job.id for fact in pond.ear.heard(JobClaimed)]
    assert claimed == [interactive, batch]


@virtually
async def test_a_long_answer_keeps_its_lease() -> None:
    # SPEC Q2: no fixed time-out has to exceed the longest answer.
    pond, engine = Pond(), ScriptedEngine(script=answers_after(3600))
    async with working(pond.worker(engine, "a")), working(pond.worker(engine, "b")):
        (job,) = await pond.ended(await pond.submit())
    assert (job.state, job.lost_leases, engine.asked) == (JobState.SUCCEEDED, 0, 1)


@virtually
async def test_the_work_of_a_cancelled_job_is_aborted_at_the_engine() -> None:
    pond, engine = Pond(), ScriptedEngine(script=answers_after(3600))
    async with working(pond.worker(engine)):
        job_id = await pond.submit()
        await asyncio.sleep(5)
        job = await pond.record(job_id)
        await pond.jobs.swap(job.cancelled(pond.clock.now()))
        await asyncio.sleep(pond.settings.lease_s)
        assert engine.aborted == 1
    assert (await pond.record(job_id)).state is JobState.CANCELLED
    assert [fact.job_id for fact in pond.ear.heard(ClaimLost)] == [job_id]


@virtually
async def test_a_result_that_comes_after_a_cancel_is_thrown_away() -> None:
    pond = Pond()
    engine = ScriptedEngine(script=answers_after(2.0))
    async with working(pond.worker(engine)):
        job_id = await pond.submit()
        await asyncio.sleep(1)
        job = await pond.record(job_id)
        await pond.jobs.swap(job.cancelled(pond.clock.now()))
        await asyncio.sleep(2)
    assert (await pond.record(job_id)).state is JobState.CANCELLED
    assert len(pond.ear.heard(ClaimLost)) == 1


@virtually
async def test_stop_lets_running_work_finish() -> None:
    # SPEC W4
    pond, engine = Pond(), ScriptedEngine(script=answers_after(20))
    worker = pond.worker(engine)
    worker.start()
    job_id = await pond.submit()
    await asyncio.sleep(5)
    await worker.stop(grace_s=30)
    assert (await pond.record(job_id)).state is JobState.SUCCEEDED
    assert worker.in_flight == 0


@virtually
async def test_stop_hands_back_at_once_what_does_not_finish() -> None:
    # SPEC W4
    pond, engine = Pond(), ScriptedEngine(script=answers_after(3600))
    worker = pond.worker(engine)
    worker.start()
    job_id = await pond.submit()
    await asyncio.sleep(5)
    await worker.stop(grace_s=10)
    job = await pond.record(job_id)
    assert (job.state, job.attempts, engine.aborted) == (JobState.QUEUED, 0, 1)
    depth = await pond.queue.depth(Lane("default", Priority.BATCH))
    assert (depth.ready, depth.leased) == (1, 0)


@virtually
async def test_stop_does_not_wait_for_an_engine_that_is_away() -> None:
    class Slow(ScriptedEngine):
        @override
        async def healthy(self) -> bool:
            await asyncio.sleep(5)
            return False

    pond = Pond()
    worker = pond.worker(Slow())
    worker.start()
    await asyncio.sleep(1)
    began = pond.clock.now()
    await worker.stop(grace_s=60)
    assert pond.clock.now() - began == pytest.approx(4)


@virtually
async def test_stop_does_not_wait_for_a_store_that_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pond, engine = Pond(), ScriptedEngine(script=answers_after(3600))
    worker = pond.worker(engine)
    worker.start()
    job_id = await pond.submit()
    await asyncio.sleep(5)

    async def away(*_: object) -> bool:
        raise Unavailable("full disk", code="store_unavailable")

    monkeypatch.setattr(pond.delivery, "settle", away)
    await worker.stop(grace_s=10)
    assert [fact.duty for fact in pond.ear.heard(DutyFailed)] == ["settle"]
    assert (await pond.record(job_id)).state is JobState.RUNNING


@virtually
async def test_leases_hold_while_the_worker_drains() -> None:
    pond, engine = Pond(), ScriptedEngine(script=answers_after(3 * 30))
    worker = pond.worker(engine)
    worker.start()
    job_id = await pond.submit()
    await asyncio.sleep(5)
    async with working(pond.worker(engine, "other")):
        await worker.stop(grace_s=120)
    job = await pond.record(job_id)
    assert (job.state, job.lost_leases, engine.asked) == (JobState.SUCCEEDED, 0, 1)


@virtually
async def test_a_result_that_the_store_has_no_room_for_ends_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pond, engine = Pond(PoolSettings(model_version="v1")), ScriptedEngine()
    swap = pond.jobs.swap

    async def small(after: Job, response: bytes | None = None) -> bool:
        if response is not None:
            raise TooLarge("The response is too large.", code="response_too_large")
        return await swap(after)

    monkeypatch.setattr(pond.jobs, "swap", small)
    async with working(pond.worker(engine)):
        (job,) = await pond.ended(await pond.submit())
    assert (job.state, engine.asked) == (JobState.FAILED, 1)
    assert (job.engine, job.model_version) == (engine.name, "v1")
    assert job.error == JobError("response_too_large", "The response is too large.")
    assert [fact.job for fact in pond.ear.heard(JobSettled)] == [job]


@virtually
async def test_stop_works_twice_and_before_start() -> None:
    worker = Pond().worker(ScriptedEngine())
    await worker.stop(grace_s=1)
    await worker.stop(grace_s=1)


@virtually
async def test_starting_twice_is_starting_once() -> None:
    pond, engine = Pond(), ScriptedEngine()
    worker = pond.worker(engine)
    async with working(worker):
        worker.start()
        await pond.ended(await pond.submit())
    assert engine.asked == 1


@virtually
async def test_a_store_that_is_away_for_a_while_costs_no_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pond, engine = Pond(), ScriptedEngine()
    settle, failures = pond.delivery.settle, [True, True]

    async def failing(claim: Claim, settlement: Settlement) -> bool:
        if failures:
            failures.pop()
            raise Unavailable("full disk", code="store_unavailable")
        return await settle(claim, settlement)

    monkeypatch.setattr(pond.delivery, "settle", failing)
    async with working(pond.worker(engine)):
        (job,) = await pond.ended(await pond.submit())
    assert (job.state, engine.asked) == (JobState.SUCCEEDED, 1)


def slow_store(pond: Pond, monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[int]:
    """Settling takes a while; how many are settled at once, each time that one begins."""
    settle, at_once, seen = pond.delivery.settle, 0, list[int]()

    async def slow(claim: Claim, settlement: Settlement) -> bool:
        nonlocal at_once
        at_once += 1
        seen.append(at_once)
        await asyncio.sleep(seconds)
        at_once -= 1
        return await settle(claim, settlement)

    monkeypatch.setattr(pond.delivery, "settle", slow)
    return seen


@virtually
async def test_the_engine_does_not_wait_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    pond, engine = Pond(), ScriptedEngine(script=answers_after(1.0))
    slow_store(pond, monkeypatch, 0.9)
    began = pond.clock.now()
    ids = [await pond.submit() for _ in range(40)]
    async with working(pond.worker(engine)):
        await pond.ended(*ids)
    assert pond.clock.now() - began == pytest.approx(40 / 8 + 0.9, abs=0.1)
    assert engine.most_at_once == 8


@virtually
async def test_a_store_that_falls_behind_slows_the_pull(monkeypatch: pytest.MonkeyPatch) -> None:
    pond, engine = Pond(), ScriptedEngine(script=answers_after(0.1))
    settled_at_once = slow_store(pond, monkeypatch, 100.0)
    ids = [await pond.submit() for _ in range(40)]
    async with working(pond.worker(engine)):
        await asyncio.sleep(50)
        assert engine.asked == 16
        await pond.ended(*ids)
    assert max(settled_at_once) == 16


@virtually
async def test_a_result_that_is_being_written_is_not_thrown_away_by_a_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pond, engine = Pond(), ScriptedEngine()
    slow_store(pond, monkeypatch, 20.0)
    worker = pond.worker(engine)
    worker.start()
    job_id = await pond.submit()
    await asyncio.sleep(5)
    await worker.stop(grace_s=1)
    assert (await pond.record(job_id)).state is JobState.SUCCEEDED
    assert (engine.asked, pond.ear.heard(ClaimLost)) == (1, [])


@virtually
async def test_a_lease_holds_while_its_result_waits_for_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pond, engine = Pond(), ScriptedEngine()
    slow_store(pond, monkeypatch, 5 * pond.settings.lease_s)
    async with working(pond.worker(engine, "a")), working(pond.worker(engine, "b")):
        (job,) = await pond.ended(await pond.submit())
    assert (job.state, job.lost_leases, engine.asked) == (JobState.SUCCEEDED, 0, 1)


@virtually
async def test_a_settlement_that_raises_loses_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    pond = Pond()
    settle, failures = pond.delivery.settle, [True]

    async def failing(claim: Claim, settlement: Settlement) -> bool:
        if failures:
            failures.pop()
            raise RuntimeError("a bug")
        return await settle(claim, settlement)

    monkeypatch.setattr(pond.delivery, "settle", failing)
    async with working(pond.worker(ScriptedEngine())):
        (job,) = await pond.ended(await pond.submit())
    assert (job.state, job.lost_leases) == (JobState.SUCCEEDED, 1)
    assert [fact.duty for fact in pond.ear.heard(DutyFailed)] == ["settle"]


@virtually
async def test_claims_that_fail_alike_are_told_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pond = Pond()
    claim, failures = pond.queue.receive, [True, True]

    async def failing(*args: object, **kwargs: object) -> object:
        if failures:
            failures.pop()
            raise Unavailable("locked", code="store_unavailable")
        return await claim(*args, **kwargs)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(pond.queue, "receive", failing)
    async with working(pond.worker(ScriptedEngine())):
        await pond.ended(await pond.submit())
    told = [(fact.duty, fact.news) for fact in pond.ear.heard(DutyFailed)]
    assert told == [("pull", True), ("pull", False)]


@virtually
async def test_an_engine_adapter_that_raises_loses_no_job() -> None:
    pond = Pond()
    failures = [True]

    async def script() -> Outcome:
        if failures:
            failures.pop()
            raise RuntimeError("a bug")
        return ANSWER

    async with working(pond.worker(ScriptedEngine(script=script))):
        (job,) = await pond.ended(await pond.submit())
    assert (job.state, job.lost_leases) == (JobState.SUCCEEDED, 1)
    assert [fact.duty for fact in pond.ear.heard(DutyFailed)] == ["run"]


@virtually
async def test_batch_work_is_not_kept_waiting_for_ever() -> None:  # SPEC Q4
    pond = Pond(PoolSettings(max_in_flight=4, batch_patience_s=100.0))
    batch = [await pond.submit() for _ in range(5)]
    interactive = [
        await pond.submit(a_job(priority=Priority.INTERACTIVE, accepted_at=pond.clock.now()))
        for _ in range(60)
    ]
    async with working(pond.worker(ScriptedEngine(answers_after(10)))):
        jobs = await pond.ended(*batch, *interactive)
    began_s = [(job.started_at or 0.0) - jobs[-1].accepted_at for job in jobs]
    assert min(began_s[:5]) >= 100.0
    assert max(began_s[:5]) < began_s[-1]
