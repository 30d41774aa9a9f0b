"""What is played depends on the stream and the record alone."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps

import msgspec

from headpond.domain.deltas import text_of
from headpond.domain.job import Job, JobError, JobId, Usage
from headpond.ports.streams import Entry
from headpond.services.desk import Desk
from headpond.services.playback import PAGE, Began, Delta, Done, Playback, Quiet, Restart
from headpond.testing.records import RESPONSE, a_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import Pond


class Theatre(Pond):
    """A pond with a playback and one job, whose worker the test is."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(self.jobs, self.clock)
        self.playback = Playback(self.streams, self.desk)
        self.seq = 0

    async def open(self, *, stream: bool = True) -> JobId:
        self.job_id = await self.submit(a_job(accepted_at=self.clock.now(), stream=stream))
        return self.job_id

    async def claim(self) -> Job:
        """Claim it, also out of the hands of another worker."""
        job = (await self.record(self.job_id)).claimed("w", self.clock.now())
        assert await self.jobs.swap(job)
        self.seq = await self.streams.begin(job.id, job.version) or 0
        return job

    async def say(self, job: Job, text: str) -> None:
        choices = [{"index": 0, "delta": {"content": text}}]
        self.seq += 1
        entry = Entry(self.seq, job.version, msgspec.json.encode(choices))
        assert await self.streams.append(job.id, entry)

    async def succeed(self, job: Job) -> None:
        ended = job.succeeded(self.clock.now(), engine="e", usage=Usage(1, 1))
        assert await self.jobs.swap(ended, RESPONSE)

    async def seen(
        self, *, resumed: bool = False, from_restart: bool = False, quiet_s: float = 3600
    ) -> list[str]:
        """All that is played, a word each."""
        job = await self.record(self.job_id)
        playing = self.playback.play(
            job, quiet_s=quiet_s, resumed=resumed, from_restart=from_restart
        )
        return [_word(played) async for played in playing]


def _word(played: Began | Delta | Restart | Quiet | Done) -> str:
    match played:
        case Began():
            return "<"
        case Delta(_, choices):
            return text_of(choices)
        case Restart(forgotten=forgotten):
            return "||" if forgotten else "|"
        case Quiet():
            return "."
        case Done(job):
            return job.state.value


def virtually(test: Callable[[Theatre], Coroutine[object, object, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        async def experiment() -> None:
            await test(Theatre())

        run_virtually(experiment())

    # pytest must not see the theatre as a fixture.
    del run.__wrapped__  # pyright: ignore[reportFunctionMemberAccess]
    return run


@virtually
async def test_a_reader_sees_it_from_the_queue_to_the_end(theatre: Theatre) -> None:  # SPEC G4
    await theatre.open()
    reading = asyncio.create_task(theatre.seen(quiet_s=10))
    await asyncio.sleep(25)
    job = await theatre.claim()
    for text in ("a", "b"):
        await theatre.say(job, text)
        await asyncio.sleep(1)
    await theatre.succeed(job)
    assert await reading == [".", ".", "<", "a", "b", "succeeded"]
    assert await theatre.seen() == ["<", "a", "b", "succeeded"]
    assert await theatre.seen(resumed=True) == ["<", "a", "b", "succeeded"]


@virtually
async def test_news_of_the_record_alone_is_seen(theatre: Theatre) -> None:
    await theatre.open()
    reading = asyncio.create_task(theatre.seen(quiet_s=10))
    await asyncio.sleep(8)
    await theatre.claim()
    await asyncio.sleep(8)
    job = await theatre.record(theatre.job_id)
    await theatre.jobs.swap(job.cancelled(theatre.clock.now()))
    assert await reading == ["<", ".", "cancelled"]


@virtually
async def test_a_restart_is_played_in_its_place(theatre: Theatre) -> None:  # SPEC W7
    await theatre.open()
    zombie = await theatre.claim()
    await theatre.say(zombie, "a")
    job = await theatre.claim()
    await theatre.say(job, "b")
    await theatre.succeed(job)
    assert await theatre.seen() == ["<", "a", "|", "b", "succeeded"]
    assert await theatre.seen(from_restart=True) == ["<", "b", "succeeded"]


@virtually
async def test_without_a_restart_nothing_is_left_out(theatre: Theatre) -> None:
    await theatre.open()
    job = await theatre.claim()
    for _ in range(PAGE + 1):
        await theatre.say(job, "a")
    await theatre.succeed(job)
    assert await theatre.seen(from_restart=True) == ["<", *["a"] * (PAGE + 1), "succeeded"]


@virtually
async def test_a_result_of_a_worker_that_knows_no_streams_is_one_delta(theatre: Theatre) -> None:
    await theatre.open()
    first = await theatre.claim()
    await theatre.say(first, "a")
    job = first.claimed("older release", theatre.clock.now())
    await theatre.jobs.swap(job)
    await theatre.succeed(job)
    assert await theatre.seen() == ["<", "a", "|", "hi", "succeeded"]
    assert await theatre.seen(resumed=True) == ["<", "a", "|", "hi", "succeeded"]


@virtually
async def test_forgotten_tokens_are_played_from_the_result(theatre: Theatre) -> None:
    await theatre.open()
    job = await theatre.claim()
    await theatre.say(job, "a")
    await theatre.succeed(job)
    await theatre.streams.forget(theatre.clock.now() + 1)
    assert await theatre.seen() == ["<", "hi", "succeeded"]
    # Its numbers count tokens that are gone: it must not splice.
    assert await theatre.seen(resumed=True) == ["<", "||", "hi", "succeeded"]


@virtually
async def test_a_job_that_asked_for_no_stream_has_one_all_the_same(theatre: Theatre) -> None:
    await theatre.open(stream=False)
    await theatre.succeed(await theatre.claim())
    assert await theatre.seen(resumed=True) == ["<", "hi", "succeeded"]


@virtually
async def test_a_job_that_never_ran_has_only_an_end(theatre: Theatre) -> None:
    await theatre.open()
    job = await theatre.record(theatre.job_id)
    await theatre.jobs.swap(job.cancelled(theatre.clock.now()))
    assert await theatre.seen() == ["cancelled"]


@virtually
async def test_a_desk_that_closes_ends_it_without_an_end(theatre: Theatre) -> None:
    await theatre.open()
    reading = asyncio.create_task(theatre.seen())
    await asyncio.sleep(1)
    theatre.desk.close()
    assert await reading == []


@virtually
async def test_a_reader_that_missed_a_death_is_cut_off(theatre: Theatre) -> None:
    await theatre.open()
    reading = asyncio.create_task(theatre.seen())
    job = await theatre.claim()
    await theatre.say(job, "a")
    await asyncio.sleep(1)
    died = job.buried(theatre.clock.now(), JobError("engine_error", "It broke."))
    assert await theatre.jobs.swap(died)
    assert await theatre.delivery.redrive(died)
    assert await reading == ["<", "a"]
