"""An engine that fails costs nobody an attempt, and only who makes it fail is buried."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import ParamSpec

import pytest
from msgspec.structs import replace
from typing_extensions import override

from headpond.domain.breaker import FAILURES_OF_AN_ENGINE
from headpond.domain.crowd import ASIDE, PATIENCE_S
from headpond.domain.facts import ClaimLost, EngineBroken, EngineFailed, EngineHealth, JobConvicted
from headpond.domain.job import Job, JobError, JobId, JobState
from headpond.domain.lane import Lane, Priority
from headpond.domain.outcome import Broke, Died, NotNow, Outcome, Refused
from headpond.domain.retry import RetryPolicy
from headpond.ports.delivery import Claim
from headpond.ports.engine import Gauges
from headpond.ports.jobs import NewJob
from headpond.settings import EngineSettings, PoolSettings
from headpond.testing.records import a_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import ANSWER, Pond, ScriptedEngine

P = ParamSpec("P")

SETTINGS = PoolSettings(max_in_flight=64, lease_s=30.0, engine=EngineSettings(start_grace_s=300))
DEATH = Died("connection lost")
LANE = Lane("default", Priority.BATCH)
GARBAGE = Broke("not a chat completion", "engine_garbage")


def virtually(test: Callable[P, Coroutine[object, object, None]]) -> Callable[P, None]:
    """Run the test on virtual time."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        run_virtually(test(*args, **kwargs))

    return run


class FragileEngine(ScriptedEngine):
    """Answers after a while, but fails with all that is in flight when a request asks for it.

    A request says what it does: `poison` fails the engine with `failure`, `refuse` and `break`
    are at fault themselves, `slow` takes an hour. After a failure it is away for `away_s`.
    """

    def __init__(self, *, failure: Outcome = DEATH, away_s: float = 20.0) -> None:
        super().__init__()
        self.failure = failure
        self.away_s = away_s
        self.failures: list[int] = []
        self.asked_for: list[bytes] = []
        self._failed = asyncio.Event()

    @override
    async def complete(self, model: str, request: bytes) -> Outcome:
        if not self.is_healthy:
            return NotNow("connection refused")
        self.asked_for.append(request)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        failed = self._failed
        try:
            return await self._serve(request, failed)
        except asyncio.CancelledError:
            self.aborted += 1
            raise
        finally:
            self.at_once -= 1

    async def fail(self) -> None:
        """Fail now, with all that is in flight, and come back later."""
        self.failures.append(self.at_once)
        self._failed.set()
        self._failed = asyncio.Event()
        if self.away_s:
            self.is_healthy = False
            asyncio.get_running_loop().call_later(self.away_s, self._come_back)

    def _come_back(self) -> None:
        self.is_healthy = True

    async def _serve(self, request: bytes, failed: asyncio.Event) -> Outcome:
        if b"poison" in request:
            await asyncio.sleep(1.0)
            if not failed.is_set():
                await self.fail()
            return self.failure
        try:
            async with asyncio.timeout(3600 if b"slow" in request else 2.0):
                await failed.wait()
        except TimeoutError:
            if b"refuse" in request:
                return Refused("no")
            return Broke("500") if b"break" in request else ANSWER
        return self.failure


class TellingEngine(FragileEngine):
    """Tells how many requests it runs, those of `others` included."""

    others = 0

    @override
    async def gauges(self) -> Gauges:
        return Gauges(running=self.at_once + self.others, waiting=0)


async def submit(pond: Pond, *prompts: str) -> list[JobId]:
    """Queue a job for each prompt."""
    return [
        (await pond.delivery.submit(NewJob(a_job(), prompt.encode(), None))).job.id
        for prompt in prompts
    ]


async def at_a_crowded_engine(
    pond: Pond, engine: TellingEngine, *, suspects: int = 1
) -> list[JobId]:
    """Jobs of a worker that vanished, and others at the engine that are to be tried there."""
    ids = await submit(pond, *["suspect"] * suspects)
    await pond.delivery.claim([LANE], worker="gone", limit=suspects)
    await asyncio.sleep(pond.settings.lease_s)
    engine.others = 1
    return ids


def charged(jobs: list[Job]) -> set[tuple[JobState, int, int]]:
    """How jobs ended and what they were charged."""
    return {(job.state, job.attempts, job.lost_leases) for job in jobs}


@pytest.mark.parametrize("place", [0, 31, 63])
@pytest.mark.parametrize("failure", [DEATH, GARBAGE], ids=["dies", "garbage to all"])
def test_one_poison_among_64_is_found_and_nobody_else_pays(place: int, failure: Outcome) -> None:
    # SPEC W5 B3
    async def experiment() -> None:
        pond, engine = (
            Pond(replace(SETTINGS, model_version="v1")),
            FragileEngine(failure=failure, away_s=60.0),
        )
        prompts = ["fine"] * 64
        prompts[place] = "poison"
        ids = await submit(pond, *prompts)
        async with pond.working(engine):
            jobs = await pond.ended(*ids)
        culprit = jobs.pop(place)
        assert charged(jobs) == {(JobState.SUCCEEDED, 1, 0)}
        assert engine.failures == [64, 32, 16, 8, 4, 2, 1]
        assert (culprit.state, culprit.attempts) == (JobState.DEAD, 1)
        assert (culprit.engine, culprit.model_version) == (engine.name, "v1")
        assert culprit.error is not None
        assert culprit.error.code == ("engine_died" if failure is DEATH else "engine_garbage")
        assert "beside 63, 31, 15, 7, 3 and 1 others, once alone" in culprit.error.message
        assert [fact.job.id for fact in pond.ear.heard(JobConvicted)] == [culprit.id]
        assert len(pond.ear.heard(EngineFailed)) == 7

    run_virtually(experiment())


@virtually
async def test_several_poisons_are_all_found() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    innocent = await submit(pond, *["fine"] * 30)
    guilty = await submit(pond, "poison", "poison 2", "poison 3")
    async with pond.working(engine):
        assert charged(await pond.ended(*innocent)) == {(JobState.SUCCEEDED, 1, 0)}
        assert charged(await pond.ended(*guilty)) == {(JobState.DEAD, 1, 0)}
    assert len(pond.ear.heard(JobConvicted)) == 3


@virtually
async def test_an_engine_that_dies_by_itself_costs_nobody_anything() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    ids = await submit(pond, *["fine"] * 64)
    async with pond.working(engine):
        await asyncio.sleep(1)
        await engine.fail()
        assert charged(await pond.ended(*ids)) == {(JobState.SUCCEEDED, 1, 0)}
    assert engine.failures == [64]


@virtually
async def test_suspects_have_the_engine_to_themselves() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    suspects = await submit(pond, *["fine"] * 7, "poison")
    async with pond.working(engine):
        await asyncio.sleep(5)
        others = await submit(pond, *["other"] * 8)
        await pond.ended(*suspects, *others)
    assert engine.failures == [8, 4, 2, 1]
    assert engine.asked_for[-8:] == [b"other"] * 8


@virtually
async def test_the_accused_are_judged_when_all_others_have_been_tried() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    ids = await submit(pond, "fine", "poison")
    async with pond.working(engine):
        fine, poison = await pond.ended(*ids)
    assert charged([fine]) == {(JobState.SUCCEEDED, 1, 0)}
    assert charged([poison]) == {(JobState.DEAD, 1, 0)}


@virtually
async def test_nothing_is_pulled_beside_the_last_suspect() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    await submit(pond, "fine", "poison")
    async with pond.working(engine):
        await asyncio.sleep(1)
        others = await submit(pond, *["other"] * 50)
        await pond.ended(*others)
    assert engine.failures == [2, 1, 1]


@virtually
async def test_one_bad_answer_among_good_ones_is_charged() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    (bad,) = await submit(pond, "break")
    good = await submit(pond, *["fine"] * 3)
    async with pond.working(engine):
        assert charged(await pond.ended(*good)) == {(JobState.SUCCEEDED, 1, 0)}
        await asyncio.sleep(0.1)
        assert (await pond.record(bad)).attempts == 1
        (job,) = await pond.ended(bad)
    assert (job.state, job.attempts) == (JobState.DEAD, 3)
    assert pond.ear.heard(EngineFailed) == []


@virtually
async def test_a_refusal_does_not_prove_that_the_engine_works() -> None:
    # Whoever refuses a request has not run it.
    pond, engine = Pond(SETTINGS), FragileEngine()
    broken = await submit(pond, "break", "break")
    refused = await submit(pond, "refuse")
    async with pond.working(engine):
        await pond.ended(*refused)
        await asyncio.sleep(2)
        assert [fact.in_flight for fact in pond.ear.heard(EngineFailed)] == [2]
        assert {(await pond.record(job_id)).state for job_id in broken} == {JobState.RUNNING}


@virtually
async def test_a_request_that_broke_beside_nobody_but_a_refused_one_is_charged() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    (broken,) = await submit(pond, "break")
    await submit(pond, "refuse")
    async with pond.working(engine):
        await asyncio.sleep(2.1)
        assert charged([await pond.record(broken)]) == {(JobState.QUEUED, 1, 0)}


@virtually
async def test_a_broken_request_waits_for_what_its_company_meets() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    (slow,) = await submit(pond, "slow")
    (broken,) = await submit(pond, "break")
    async with pond.working(engine):
        await asyncio.sleep(10)
        assert (await pond.record(broken)).state is JobState.RUNNING
        (fine,) = await submit(pond, "fine")  # pulled while it is held, but no company of it
        await pond.ended(fine)
        assert (await pond.record(broken)).state is JobState.RUNNING
        await pond.jobs.swap((await pond.record(slow)).cancelled(pond.clock.now()))
        await asyncio.sleep(SETTINGS.lease_s / 3)
        assert (await pond.record(broken)).attempts == 2  # charged, and on its second run


@virtually
async def test_requests_that_all_hang_are_suspects() -> None:
    # An engine that says it is well, but whose requests all run into their time-outs.
    pond, engine = Pond(SETTINGS), FragileEngine(failure=Broke("no answer", "engine_timeout"))
    ids = await submit(pond, *["slow"] * 5)
    async with pond.working(engine):
        await asyncio.sleep(600)
        await engine.fail()
        await asyncio.sleep(30)
        jobs = [await pond.record(job_id) for job_id in ids]
        assert charged(jobs) == {(JobState.RUNNING, 1, 0)}
        for job in jobs:
            await pond.jobs.swap(job.cancelled(pond.clock.now()))
    assert [fact.in_flight for fact in pond.ear.heard(EngineFailed)] == [5]


@virtually
async def test_an_engine_that_fails_with_everybody_convicts_nobody() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    ids = await submit(pond, *["poison"] * 4)
    async with pond.working(engine):
        await asyncio.sleep(600)
        states = {(await pond.record(job_id)).state for job_id in ids}
        assert states <= {JobState.QUEUED, JobState.RUNNING}
        assert pond.ear.heard(JobConvicted) == []
        jobs = await pond.ended(*ids)  # each ends all the same, at the bound of lost leases
    assert charged(jobs) == {(JobState.DEAD, 1, SETTINGS.retry.max_lost_leases)}


class BrokenEngine(ScriptedEngine):
    """Says that it is well, and answers everybody with a 500 after two seconds, until mended."""

    def __init__(self) -> None:
        super().__init__(script=self._answer)
        self.mended = False

    async def _answer(self) -> Outcome:
        await asyncio.sleep(2.0)
        return ANSWER if self.mended else Broke("HTTP 500")


@pytest.mark.parametrize("in_flight", [4, 8, 64])
def test_an_engine_that_fails_with_everybody_is_told_within_seven_failures(in_flight: int) -> None:
    async def experiment() -> None:
        pond, engine = Pond(replace(SETTINGS, max_in_flight=in_flight)), BrokenEngine()
        ids = await submit(pond, *["fine"] * in_flight)
        waiting = await submit(pond, *["fine"] * in_flight)
        async with pond.working(engine):
            await asyncio.sleep(90)
            jobs = [await pond.record(job_id) for job_id in ids]
            assert {(job.state, job.attempts, job.last_error) for job in jobs} == {
                (JobState.QUEUED, 0, JobError("engine_error", "HTTP 500"))
            }
            assert [fact.failures for fact in pond.ear.heard(EngineBroken)] == [7]
            assert [fact.healthy for fact in pond.ear.heard(EngineHealth)] == [True, False]
            untouched = [await pond.record(job_id) for job_id in waiting]
            assert sum(job.last_error is None for job in untouched) >= in_flight - 1

    run_virtually(experiment())


@virtually
async def test_an_engine_that_fails_with_everybody_gets_one_request_a_minute() -> None:
    pond, engine = Pond(replace(SETTINGS, max_in_flight=8)), BrokenEngine()
    ids = await submit(pond, *["fine"] * 64)
    async with pond.working(engine):
        await asyncio.sleep(90)
        asked = engine.asked
        await asyncio.sleep(1800)
        assert 25 <= engine.asked - asked <= 60
        assert {(await pond.record(job_id)).state for job_id in ids} == {JobState.QUEUED}
        engine.most_at_once, engine.mended = 0, True
        jobs = await pond.ended(*ids)
    assert {(job.state, job.attempts) for job in jobs} == {(JobState.SUCCEEDED, 1)}
    assert [fact.healthy for fact in pond.ear.heard(EngineHealth)] == [True, False, True]
    assert engine.most_at_once == 8  # not before one more had been answered each time


@virtually
async def test_no_job_circles_for_ever_at_an_engine_that_fails_with_everybody() -> None:
    pond, engine = Pond(replace(SETTINGS, max_in_flight=8)), BrokenEngine()
    ids = await submit(pond, *["fine"] * 8)
    began = pond.clock.now()
    async with pond.working(engine):
        jobs = await pond.ended(*ids)
    rounds = SETTINGS.retry.max_lost_leases + 1
    assert charged(jobs) == {(JobState.DEAD, 1, rounds - 1)}
    assert engine.asked <= FAILURES_OF_AN_ENGINE * 8 + rounds * 8
    assert 1800 <= pond.clock.now() - began <= 5400


@virtually
async def test_a_poison_does_not_keep_an_engine_from_proving_that_it_works() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine(away_s=5.0)
    poison = await submit(pond, *["poison"] * 5)
    async with pond.working(engine):
        await asyncio.sleep(120)
        assert len(pond.ear.heard(EngineBroken)) == 1
        innocent = await submit(pond, *["fine"] * 20)
        async with asyncio.timeout(600):
            assert charged(await pond.ended(*innocent)) == {(JobState.SUCCEEDED, 1, 0)}
        jobs = await pond.ended(*poison)
    assert {job.state for job in jobs} == {JobState.DEAD}


class PoisonedEngine(ScriptedEngine):
    """Fails a second later with all that it got in a moment, if poison was among it."""

    def __init__(self) -> None:
        super().__init__()
        self.poisons = 0

    @override
    async def complete(self, model: str, request: bytes) -> Outcome:
        self.asked += 1
        if b"poison" in request:
            self.poisons += 1
            asyncio.get_running_loop().call_later(1.1, self._recover)
        await asyncio.sleep(1.0 + self.asked / 10_000)  # in the order in which they came
        return DEATH if self.poisons else ANSWER

    def _recover(self) -> None:
        self.poisons -= 1


@virtually
async def test_poison_in_each_quarter_is_found_although_the_engine_seems_broken() -> None:
    pond, engine = Pond(SETTINGS), PoisonedEngine()
    words = ["fine"] * 64
    for place in (3, 20, 40, 60):
        words[place] = "poison"
    ids = await submit(pond, *words)
    async with pond.working(engine):
        jobs = await pond.ended(*ids)
    assert [fact.failures for fact in pond.ear.heard(EngineBroken)] == [7]
    dead = [place for place, job in enumerate(jobs) if job.state is JobState.DEAD]
    assert dead == [3, 20, 40, 60]
    assert {job.lost_leases for job in jobs if job.state is JobState.SUCCEEDED} == {1}


@virtually
async def test_a_suspect_that_did_not_run_stays_a_suspect() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine(away_s=0)
    ids = await submit(pond, *["fine"] * 3, "poison")
    async with pond.working(engine):
        await asyncio.sleep(1.4)  # it failed after 1 s, and has a pause of 0.5 s
        assert engine.failures == [4]
        engine.is_healthy = False
        healthy, engine.healthy = engine.healthy, _yes  # it says so, but takes nothing
        await asyncio.sleep(20)
        engine.is_healthy, engine.healthy = True, healthy
        jobs = await pond.ended(*ids)
    assert charged(jobs[:3]) == {(JobState.SUCCEEDED, 1, 0)}
    assert charged(jobs[3:]) == {(JobState.DEAD, 1, 0)}
    assert engine.failures == [4, 2, 1]


async def _yes() -> bool:
    return True


@virtually
async def test_a_suspect_can_be_cancelled_and_keeps_its_lease_until_then() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine(away_s=200.0)
    ids = await submit(pond, *["fine"] * 3, "poison")
    async with pond.working(engine):
        await asyncio.sleep(5 * SETTINGS.lease_s)
        assert await pond.delivery.claim([LANE], worker="other", limit=9) == []
        job = await pond.record(ids[3])
        await pond.jobs.swap(job.cancelled(pond.clock.now()))
        jobs = await pond.ended(*ids)
    assert charged(jobs[:3]) == {(JobState.SUCCEEDED, 1, 0)}
    assert [fact.job_id for fact in pond.ear.heard(ClaimLost)] == [ids[3]]
    assert engine.failures == [4]


@virtually
async def test_a_worker_that_stops_hands_suspects_back_uncharged_but_marked() -> None:
    # SPEC W4
    pond, engine = Pond(SETTINGS), FragileEngine(away_s=60.0)
    ids = await submit(pond, *["fine"] * 3, "poison")
    async with pond.working(engine):
        await asyncio.sleep(10)
    assert charged([await pond.record(job_id) for job_id in ids]) == {(JobState.QUEUED, 0, 1)}
    depth = await pond.queue.depth(LANE)
    assert (depth.ready, depth.leased, depth.delayed) == (4, 0, 0)


@virtually
async def test_who_was_marked_is_isolated_by_the_next_worker() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    marked = await submit(pond, *["marked"] * 3, "poison")
    async with pond.working(engine):
        await asyncio.sleep(2)
    await submit(pond, *["fine"] * 5)
    engine.asked_for.clear()
    async with pond.working(engine, "next"):
        jobs = await pond.ended(*marked)
    assert engine.asked_for[:5] == [b"fine"] * 5
    assert engine.failures == [4, 4, 2, 1]
    assert charged(jobs[:3]) == {(JobState.SUCCEEDED, 1, 1)}
    assert charged(jobs[3:]) == {(JobState.DEAD, 1, 1)}
    assert jobs[3].error is not None
    assert "once at other workers or earlier" in jobs[3].error.message


@virtually
async def test_a_stop_in_the_middle_of_a_group_keeps_the_mark_that_it_came_with() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    ids = await submit(pond, "slow", "slow")
    first = pond.worker(engine)
    first.start()
    await asyncio.sleep(5)
    await engine.fail()
    await asyncio.sleep(30)  # back, and the first of two halves is running
    await first.stop(grace_s=1)
    assert charged([await pond.record(job_id) for job_id in ids]) == {(JobState.QUEUED, 0, 1)}
    second = pond.worker(engine)
    second.start()
    await asyncio.sleep(5)
    await second.stop(grace_s=1)
    assert charged([await pond.record(job_id) for job_id in ids]) == {(JobState.QUEUED, 0, 1)}


@virtually
async def test_a_suspect_is_handed_back_with_no_more_marks_than_are_allowed() -> None:
    retry = RetryPolicy(max_lost_leases=1)
    pond, engine = Pond(replace(SETTINGS, retry=retry)), FragileEngine(away_s=60.0)
    ids = await submit(pond, "fine", "poison")
    for _ in range(3):
        async with pond.working(engine):
            await asyncio.sleep(10)
        assert charged([await pond.record(job_id) for job_id in ids]) == {(JobState.QUEUED, 0, 1)}
        await asyncio.sleep(60)
    assert engine.failures == [2, 2, 2]


@virtually
async def test_an_engine_that_never_comes_back_does_not_keep_its_suspects() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine(away_s=1e9)
    ids = await submit(pond, *["fine"] * 3, "poison")
    healthy = FragileEngine()
    async with pond.working(engine):
        await asyncio.sleep(200)
        assert charged([await pond.record(job_id) for job_id in ids]) == {(JobState.RUNNING, 1, 0)}
        async with pond.working(healthy, "other"):
            jobs = await pond.ended(*ids)
    assert charged(jobs[:3]) == {(JobState.SUCCEEDED, 1, 1)}
    assert charged(jobs[3:]) == {(JobState.DEAD, 1, 1)}


@virtually
async def test_who_is_cut_off_while_its_result_is_written_is_handed_back_once() -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    (slow,) = await submit(pond, "slow")
    (broken,) = await submit(pond, "break")
    worker = pond.worker(engine)
    worker.start()
    await asyncio.sleep(5)
    await worker.stop(grace_s=1)  # one at the engine, one held
    jobs = [await pond.record(slow), await pond.record(broken)]
    assert charged(jobs) == {(JobState.QUEUED, 0, 0)}
    depth = await pond.queue.depth(LANE)
    assert (depth.ready, depth.leased) == (2, 0)


@pytest.mark.parametrize("jitters", [(0.0, 0.9), (0.9, 0.0), (0.3, 0.4)])
def test_two_workers_at_one_engine_do_not_accuse_each_others_jobs(
    jitters: tuple[float, float],
) -> None:
    async def experiment() -> None:
        settings = replace(SETTINGS, max_in_flight=8)
        pond, engine = Pond(settings), TellingEngine()
        ids = await submit(pond, *["fine"] * 8, "poison", *["fine"] * 7)
        async with (
            pond.working(engine, "a", jitters[0]),
            pond.working(engine, "b", jitters[1]),
        ):
            jobs = await pond.ended(*ids)
        assert engine.failures[0] == 16
        culprit = jobs.pop(8)
        assert charged(jobs) == {(JobState.SUCCEEDED, 1, 0)}
        assert culprit.state is JobState.DEAD
        assert len(engine.failures) == 4

    run_virtually(experiment())


@virtually
async def test_an_engine_that_others_keep_busy_is_not_waited_for_for_ever() -> None:
    pond, engine = Pond(SETTINGS), TellingEngine()
    ids = await submit(pond, *["fine"] * 2)
    async with pond.working(engine):
        await asyncio.sleep(1)
        engine.others = 3
        await engine.fail()
        await asyncio.sleep(SETTINGS.engine.timeout_s)
        assert charged([await pond.record(job_id) for job_id in ids]) == {(JobState.RUNNING, 1, 0)}
        assert charged(await pond.ended(*ids)) == {(JobState.SUCCEEDED, 1, 0)}


@virtually
async def test_a_suspect_at_a_crowded_engine_stops_its_worker_for_seconds() -> None:
    pond, engine = Pond(SETTINGS), TellingEngine()
    (suspect,) = await at_a_crowded_engine(pond, engine)
    async with pond.working(engine):
        await asyncio.sleep(1)
        innocent = await submit(pond, *["fine"] * 20)
        async with asyncio.timeout(10):
            await pond.ended(*innocent)
        assert b"suspect" not in engine.asked_for
        await asyncio.sleep(3 * SETTINGS.lease_s)
        assert (await pond.record(suspect)).lost_leases == 1  # its lease is renewed
        engine.others = 0
        async with asyncio.timeout(60):
            assert charged(await pond.ended(suspect)) == {(JobState.SUCCEEDED, 1, 1)}


@virtually
async def test_a_suspect_is_not_set_aside_for_what_an_earlier_one_held_up() -> None:
    settings = replace(SETTINGS, lease_s=6.0)
    pond, engine = Pond(settings), TellingEngine()
    (earlier,) = await at_a_crowded_engine(pond, engine)
    async with pond.working(engine):
        await asyncio.sleep(1)
        await pond.jobs.swap((await pond.record(earlier)).cancelled(pond.clock.now()))
        await asyncio.sleep(30 * settings.lease_s)
        suspect = NewJob(replace(a_job(), lost_leases=1), b"suspect", None)
        await pond.delivery.submit(suspect)
        await asyncio.sleep(2 * PATIENCE_S)
        engine.others = 0
        async with asyncio.timeout(2 * ASIDE * PATIENCE_S):
            await pond.ended(suspect.job.id)


@virtually
async def test_as_many_suspects_as_there_is_room_for_leave_the_room_to_others() -> None:
    pond, engine = Pond(replace(SETTINGS, max_in_flight=4)), TellingEngine()
    suspects = await at_a_crowded_engine(pond, engine, suspects=4)
    async with pond.working(engine):
        await asyncio.sleep(1)
        innocent = await submit(pond, *["fine"] * 20)
        async with asyncio.timeout(30):
            await pond.ended(*innocent)
        async with asyncio.timeout(SETTINGS.engine.timeout_s + 10):
            assert charged(await pond.ended(*suspects)) == {(JobState.SUCCEEDED, 1, 1)}


@virtually
async def test_an_engine_that_fails_while_suspects_are_set_aside_is_tried_with_all() -> None:
    pond, engine = Pond(SETTINGS), TellingEngine(away_s=20.0)
    (suspect,) = await at_a_crowded_engine(pond, engine)
    async with pond.working(engine):
        await asyncio.sleep(10)
        poison = await submit(pond, "poison")
        innocent = await submit(pond, *["fine"] * 3)
        await asyncio.sleep(1.5)
        engine.others = 0
        jobs = await pond.ended(suspect, *innocent)
        assert {job.state for job in jobs} == {JobState.SUCCEEDED}
        assert (await pond.ended(*poison))[0].state is JobState.DEAD


@virtually
async def test_a_job_that_ends_while_its_lease_is_renewed_was_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pond, engine = Pond(SETTINGS), FragileEngine()
    (job_id,) = await submit(pond, "fine")

    async def slow_renewal(_: object) -> list[Claim]:
        await pond.ended(job_id)
        return []

    monkeypatch.setattr(pond.delivery, "renew", slow_renewal)
    worker = pond.worker(engine)
    await worker.pull()
    await worker.heartbeat.tick()
    assert pond.ear.heard(ClaimLost) == []
