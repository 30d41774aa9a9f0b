"""What is known is not asked again, and who waits for an equal request is dragged into nothing.

SPEC C1.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from typing_extensions import override

from headpond.adapters.memory.cache import MemoryAnswerCache
from headpond.domain.facts import (
    CacheAsked,
    ClaimLost,
    DutyFailed,
    EngineAnswered,
    JobClaimed,
    JobConvicted,
)
from headpond.domain.fingerprint import Fingerprint
from headpond.domain.job import Job, JobId, JobState, Usage
from headpond.domain.known_answer import KnownAnswer
from headpond.domain.lane import lanes_of
from headpond.domain.outcome import (
    Answered,
    Broke,
    Died,
    Misconfigured,
    NotNow,
    Outcome,
    Refused,
)
from headpond.errors import Unavailable
from headpond.ports.cache import AnswerCache
from headpond.ports.engine import Engine
from headpond.ports.jobs import NewJob
from headpond.ports.queue import Depth
from headpond.services.answers import Answers
from headpond.services.desk import Desk
from headpond.services.playback import Delta, Done, Playback, Restart
from headpond.services.worker import Worker
from headpond.settings import CacheSettings
from headpond.testing.records import RESPONSE, a_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import Pond, ScriptedEngine

KEEP_S = 1_000.0
WHOLE = b'{"choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}'
ANSWER = Answered(response=WHOLE, usage=Usage(5, 2))


def request(text: str, **fields: object) -> bytes:
    messages = [{"role": "user", "content": text}]
    return msgspec.json.encode({"messages": messages, "temperature": 0, **fields})


class Lake(Pond):
    """A pond that remembers."""

    def __init__(self, cache: AnswerCache | None = None) -> None:
        super().__init__()
        self.cache = cache or MemoryAnswerCache(self.clock, max_bytes=1_000_000)

    @override
    def worker(
        self,
        engine: Engine,
        name: str = "worker",
        jitter: float = 0.0,
        answers: Answers | None = None,
    ) -> Worker:
        answers = answers or Answers(
            self.cache,
            settings=CacheSettings(keep_s=KEEP_S),
            model_version=None,
            listener=self.ear,
        )
        return super().worker(engine, name, jitter, answers)

    async def ask(self, text: str = "hello", **fields: Any) -> JobId:
        body = fields.pop("body", None) or request(text)
        job = a_job(accepted_at=self.clock.now(), **fields)
        return (await self.delivery.submit(NewJob(job, body))).job.id

    @property
    def results(self) -> list[str]:
        return [fact.result for fact in self.ear.heard(CacheAsked)]


def after(seconds: float, *outcomes: Outcome) -> Callable[[], Awaitable[Outcome]]:
    """A script: each takes so long; these outcomes first, then answers."""
    left = list(outcomes)

    async def script() -> Outcome:
        outcome = left.pop(0) if left else ANSWER
        await asyncio.sleep(seconds)
        return outcome

    return script


def succeeded(jobs: Sequence[Job]) -> bool:
    return {job.state for job in jobs} == {JobState.SUCCEEDED}


def test_a_second_equal_request_costs_no_inference() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(0))
        async with lake.working(engine):
            (first,) = await lake.ended(await lake.ask())
            (second,) = await lake.ended(await lake.ask())
            assert (engine.asked, lake.results) == (1, ["miss", "hit"])
            assert (first.cached, second.cached) == (False, True)
            assert (second.engine, second.usage) == ("scripted", ANSWER.usage)
            assert second.attempts == 1
            bodies = await lake.jobs.bodies(second.id)
            assert bodies is not None
            assert bodies.response == WHOLE
            await lake.ended(await lake.ask("other"), await lake.ask(team="other"))
            assert engine.asked == 3
            await asyncio.sleep(KEEP_S)
            (late,) = await lake.ended(await lake.ask())
            assert (engine.asked, late.cached) == (4, False)
        assert len(lake.ear.heard(EngineAnswered)) == 4

    run_virtually(experiment())


def test_a_request_without_one_answer_is_always_asked() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(1))
        async with lake.working(engine):
            body = request("hello", temperature=1)
            await lake.ended(*[await lake.ask(body=body) for _ in range(3)])
        assert (engine.asked, lake.results) == (3, [])

    run_virtually(experiment())


def test_many_equal_requests_at_once_are_one_inference() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(10))
        ids = [await lake.ask() for _ in range(50)]
        async with lake.working(engine):
            jobs = await lake.ended(*ids)
        assert succeeded(jobs)
        assert engine.asked == 1
        assert sum(job.cached for job in jobs) == 49
        assert lake.results.count("miss") == 1

    run_virtually(experiment())


def test_twins_take_no_place_at_the_engine() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(10))
        ids = [await lake.ask() for _ in range(8)]
        ids += [await lake.ask(f"number {number}") for number in range(7)]
        async with lake.working(engine):
            await asyncio.sleep(5)
            assert engine.at_once == 8
            await lake.ended(*ids)
        assert engine.asked == 8

    run_virtually(experiment())


def test_no_worker_holds_more_twins_than_it_could_run() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(10))
        ids = [await lake.ask() for _ in range(100)]
        async with lake.working(engine):
            await asyncio.sleep(5)
            records = [await lake.record(job_id) for job_id in ids]
            running = [job for job in records if job.state is JobState.RUNNING]
            assert len(running) <= 2 * lake.settings.max_in_flight
            await lake.ended(*ids)
        assert engine.asked == 1

    run_virtually(experiment())


@pytest.mark.parametrize(
    ("outcome", "state", "asked"),
    [
        (Refused("no"), JobState.FAILED, 4),
        (Broke("oops"), JobState.SUCCEEDED, 5),
        (Died("gone"), JobState.SUCCEEDED, 5),
        (NotNow("full"), JobState.SUCCEEDED, 2),
        (Misconfigured("a wrong key"), JobState.SUCCEEDED, 2),
        (Answered(response=RESPONSE, usage=Usage(), cut_short=True), JobState.SUCCEEDED, 4),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Outcome) else "",
)
def test_what_becomes_of_the_one_that_is_asked_befalls_no_twin(
    outcome: Outcome, state: JobState, asked: int
) -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(1, outcome))
        ids = [await lake.ask() for _ in range(4)]
        async with lake.working(engine):
            first, *twins = await lake.ended(*ids)
        assert first.state is state
        assert succeeded(twins)
        assert {(job.attempts, job.lost_leases) for job in twins} == {(1, 0)}
        assert engine.asked <= asked

    run_virtually(experiment())


def test_requests_that_are_refused_together_are_each_asked_once() -> None:
    async def experiment() -> None:
        lake = Lake()
        engine = ScriptedEngine(script=after(1, *[Refused("no")] * 40))
        ids = [await lake.ask() for _ in range(40)]
        async with lake.working(engine):
            jobs = await lake.ended(*ids)
        assert {job.state for job in jobs} == {JobState.FAILED}
        assert engine.asked == 40
        assert len(lake.ear.heard(JobClaimed)) < 2 * 40

    run_virtually(experiment())


class Poisoned(ScriptedEngine):
    """Dies of one request, with all that it runs beside."""

    def __init__(self) -> None:
        super().__init__()
        self._died = asyncio.Event()

    @override
    async def complete(self, model: str, request: bytes) -> Outcome:
        self.asked += 1
        died = self._died
        if b"poison" in request:
            await asyncio.sleep(1)
            self._died = asyncio.Event()
            died.set()
        try:
            async with asyncio.timeout(5):
                await died.wait()
        except TimeoutError:
            return ANSWER
        return Died("gone")


def test_a_poison_and_its_twins_are_each_found_out_alone() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), Poisoned()
        poisons = [await lake.ask("poison") for _ in range(3)]
        others = [await lake.ask(f"number {number // 2}") for number in range(10)]
        async with lake.working(engine):
            jobs = await lake.ended(*others)
            dead = await lake.ended(*poisons)
        assert succeeded(jobs)
        assert {job.attempts for job in jobs} == {1}
        assert {job.state for job in dead} == {JobState.DEAD}
        assert {fact.job.id for fact in lake.ear.heard(JobConvicted)} <= {*poisons}

    run_virtually(experiment())


def test_an_answer_from_memory_is_no_proof_that_the_engine_works() -> None:
    """A request that broke beside an answered one is charged; beside a twin it is not."""

    async def experiment() -> None:
        lake = Lake()
        engine = ScriptedEngine(script=after(0))
        async with lake.working(engine):
            await lake.ended(await lake.ask("known"))
            engine.script = after(10, Broke("garbage"), Broke("garbage"))
            both = [await lake.ask("one"), await lake.ask("other")]
            await asyncio.sleep(5)
            (known,) = await lake.ended(await lake.ask("known"))
            assert known.cached
            jobs = await lake.ended(*both)
        assert [job.attempts for job in jobs] == [1, 1]

    run_virtually(experiment())


def test_the_one_that_is_asked_may_be_cancelled_and_another_is_asked() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(60))
        ids = [await lake.ask() for _ in range(4)]
        async with lake.working(engine):
            await asyncio.sleep(1)
            leader = await lake.record(ids[0])
            await lake.jobs.swap(leader.cancelled(lake.clock.now()))
            _, *others = await lake.ended(*ids)
        assert succeeded(others)
        assert (engine.asked, engine.aborted) == (2, 1)
        assert {job.attempts for job in others} == {1}

    run_virtually(experiment())


def test_a_twin_may_be_cancelled_and_takes_nothing_along() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(60))
        ids = [await lake.ask() for _ in range(4)]
        async with lake.working(engine):
            await asyncio.sleep(1)
            twin = await lake.record(ids[2])
            await lake.jobs.swap(twin.cancelled(lake.clock.now()))
            await asyncio.sleep(30)
            assert lake.ear.heard(ClaimLost) == [ClaimLost(ids[2])]
            jobs = await lake.ended(*ids)
        assert [job.state for job in jobs].count(JobState.CANCELLED) == 1
        assert (engine.asked, engine.aborted) == (1, 0)

    run_virtually(experiment())


def test_a_twin_that_fell_unnoticed_is_not_overwritten() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(2))
        ids = [await lake.ask() for _ in range(2)]
        async with lake.working(engine):
            await asyncio.sleep(1)
            twin = await lake.record(ids[1])
            await lake.jobs.swap(twin.cancelled(lake.clock.now()))
            await lake.ended(*ids)
        assert (await lake.record(ids[1])).state is JobState.CANCELLED

    run_virtually(experiment())


def test_an_answer_that_was_known_is_of_the_version_that_gave_it_and_known_to_no_other() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(0))
        jobs: list[Job] = []
        for version in ("v1", "v1", "v2", "v1"):
            lake.settings = replace(lake.settings, model_version=version)
            answers = Answers(
                lake.cache, settings=CacheSettings(), model_version=version, listener=lake.ear
            )
            async with lake.working(engine, answers=answers):
                jobs += await lake.ended(await lake.ask())
        assert [(job.model_version, job.cached) for job in jobs] == [
            ("v1", False),
            ("v1", True),
            ("v2", False),
            ("v1", True),
        ]

    run_virtually(experiment())


class Mistaken(Answers):
    """Cannot look for an answer to the first that asks."""

    mistakes = 1

    @override
    async def get(self, name: Fingerprint) -> KnownAnswer | None:
        if self.mistakes:
            self.mistakes -= 1
            raise RuntimeError("a mistake of ours")
        return await super().get(name)


def test_a_mistake_about_one_request_loses_neither_it_nor_its_neighbours() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(1))
        ids = [await lake.ask(text) for text in ("a", "b", "b", "c")]
        answers = Mistaken(
            lake.cache, settings=CacheSettings(), model_version=None, listener=lake.ear
        )
        worker = lake.worker(engine, answers=answers)
        worker.start()
        async with asyncio.timeout(10):
            jobs = await lake.ended(*ids)
        await worker.stop(grace_s=0)
        assert succeeded(jobs)
        assert {job.lost_leases for job in jobs} == {0}
        assert engine.asked == 3
        assert lake.ear.heard(DutyFailed) == [
            DutyFailed("cache", "RuntimeError('a mistake of ours')")
        ]

    run_virtually(experiment())


def test_the_leases_of_twins_are_renewed() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(300))
        ids = [await lake.ask() for _ in range(4)]
        async with lake.working(engine):
            jobs = await lake.ended(*ids)
        assert succeeded(jobs)
        assert {job.lost_leases for job in jobs} == {0}
        assert engine.asked == 1

    run_virtually(experiment())


@pytest.mark.parametrize(("grace_s", "state"), [(60, JobState.SUCCEEDED), (1, JobState.QUEUED)])
def test_a_drain_answers_twins_or_hands_them_back(grace_s: float, state: JobState) -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(10))
        ids = [await lake.ask() for _ in range(4)]
        worker = lake.worker(engine)
        worker.start()
        await asyncio.sleep(1)
        await worker.stop(grace_s)
        jobs = [await lake.record(job_id) for job_id in ids]
        assert {(job.state, job.lost_leases) for job in jobs} == {(state, 0)}
        assert {job.attempts for job in jobs} == {1 if state is JobState.SUCCEEDED else 0}
        names = {task.get_name() for task in asyncio.all_tasks()}
        assert "remember" not in names

    run_virtually(experiment())


class Slow(MemoryAnswerCache):
    """Takes a while to put, and to get."""

    def __init__(self, pond: Pond, *, get_s: float = 0.0, put_s: float = 0.0) -> None:
        super().__init__(pond.clock, max_bytes=1_000_000)
        self.get_s, self.put_s = get_s, put_s

    @override
    async def get(self, name: Fingerprint) -> bytes | None:
        found = await super().get(name)
        await asyncio.sleep(self.get_s)
        return found

    @override
    async def put(self, name: Fingerprint, answer: bytes, keep_s: float) -> None:
        await asyncio.sleep(self.put_s)
        await super().put(name, answer, keep_s)


@pytest.mark.parametrize(("get_s", "put_s"), [(0.0, 0.4), (0.4, 0.0), (0.4, 0.4)])
def test_no_equal_request_slips_through_while_the_cache_is_slow(get_s: float, put_s: float) -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(0.3))
        lake.cache = Slow(lake, get_s=get_s, put_s=put_s)
        ids: list[JobId] = []
        async with lake.working(engine):
            for _ in range(30):
                ids.append(await lake.ask())
                await asyncio.sleep(0.05)
            assert succeeded(await lake.ended(*ids))
        assert engine.asked == 1

    run_virtually(experiment())


def test_equal_requests_that_are_looked_for_at_once_are_one_inference() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(1))
        lake.cache = Slow(lake, get_s=0.4)
        ids = [await lake.ask() for _ in range(8)]
        async with lake.working(engine):
            assert succeeded(await lake.ended(*ids))
        assert engine.asked == 1

    run_virtually(experiment())


def test_a_worker_does_not_end_before_its_answers_are_remembered() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(10))
        lake.cache = Slow(lake, put_s=0.4)
        async with lake.working(engine):
            await lake.ask()
            await asyncio.sleep(5)
        async with lake.working(engine):
            (job,) = await lake.ended(await lake.ask())
        assert (engine.asked, job.cached) == (1, True)

    run_virtually(experiment())


class Away(MemoryAnswerCache):
    """Never answers as it should."""

    @override
    async def get(self, name: Fingerprint) -> bytes | None:
        raise Unavailable("away", code="store_unavailable")

    @override
    async def put(self, name: Fingerprint, answer: bytes, keep_s: float) -> None:
        raise Unavailable("away", code="store_unavailable")


def test_without_its_cache_a_worker_works_on() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(1))
        lake.cache = Away(lake.clock, max_bytes=1)
        async with lake.working(engine):
            ids = [await lake.ask(f"number {number}") for number in range(20)]
            assert succeeded(await lake.ended(*ids))
            assert succeeded(await lake.ended(await lake.ask("number 1")))
        assert engine.asked == 21

    run_virtually(experiment())


async def played(lake: Lake, job: Job) -> list[Any]:
    playing = Playback(lake.streams, Desk(lake.jobs, lake.clock)).play(job, quiet_s=600)
    return [one async for one in playing if isinstance(one, Delta | Restart | Done)]


def test_a_stream_of_a_remembered_answer_is_one_piece() -> None:
    async def experiment() -> None:
        lake, engine = Lake(), ScriptedEngine(script=after(0))
        async with lake.working(engine):
            await lake.ended(await lake.ask())
            (job,) = await lake.ended(await lake.ask(stream=True))
        delta, done = await played(lake, job)
        assert delta.choices[0]["delta"] == {"role": "assistant", "content": "hi"}
        assert isinstance(done, Done)
        assert job.cached

    run_virtually(experiment())


@pytest.mark.parametrize("seed", range(25))
def test_whatever_happens_each_job_ends_as_it_should(seed: int) -> None:
    """Duplicates among jobs, with failures, cancels, and workers that drain and begin anew."""

    async def experiment() -> None:
        dice = random.Random(seed)
        lake = Lake()

        async def script() -> Outcome:
            await asyncio.sleep(dice.uniform(0.1, 5))
            choice: Outcome = dice.choice(
                [ANSWER, ANSWER, ANSWER, Broke("oops"), Died("gone"), NotNow("full")]
            )
            return choice

        engine = ScriptedEngine(script=script)
        ids: list[JobId] = []
        for _ in range(6):
            worker = lake.worker(engine)
            worker.start()
            for _ in range(12):
                ids.append(await lake.ask(dice.choice("abc")))
                if dice.random() < 0.2:
                    record = await lake.record(dice.choice(ids))
                    if not record.state.terminal:
                        await lake.jobs.swap(record.cancelled(lake.clock.now()))
                await asyncio.sleep(dice.uniform(0, 1))
            await worker.stop(grace_s=dice.choice([0, 2, 20]))
        engine.script = after(0.1)
        async with lake.working(engine):
            jobs = await lake.ended(*ids)
        assert {job.state for job in jobs} <= {
            JobState.SUCCEEDED,
            JobState.CANCELLED,
            JobState.DEAD,
        }
        assert sum(job.state is JobState.SUCCEEDED for job in jobs) > len(jobs) / 2
        assert await lake.delivery.claim(lanes_of("default"), worker="w", limit=1) == []
        assert await lake.queue.depth(a_job().lane) == Depth(0, 0, 0)

    run_virtually(experiment())
