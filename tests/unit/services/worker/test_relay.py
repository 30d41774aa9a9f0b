"""Tokens go into the stream while the engine speaks, and only as long as the job is ours."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest
from typing_extensions import override

from headpond.domain.deltas import Choices, text_of
from headpond.domain.facts import DutyFailed, FirstToken
from headpond.domain.job import Job, JobId, JobState
from headpond.domain.outcome import Broke, Outcome
from headpond.errors import Unavailable
from headpond.ports.delivery import Claim
from headpond.ports.engine import Tell
from headpond.ports.streams import Entry, TokenStreams
from headpond.services.desk import Desk
from headpond.services.playback import Delta, Playback
from headpond.services.worker.relay import APPEND_EVERY_S, Relay
from headpond.testing.records import a_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import ANSWER, Pond, ScriptedEngine

ROLE: Choices = [{"index": 0, "delta": {"role": "assistant", "content": ""}}]


def word(text: str) -> Choices:
    return [{"index": 0, "delta": {"content": text}}]


class Speaker(ScriptedEngine):
    """Says a word every `every_s` seconds."""

    def __init__(self, words: str, every_s: float, outcome: Outcome = ANSWER) -> None:
        super().__init__()
        self.words = words
        self.every_s = every_s
        self.outcome = outcome
        self.next: list[tuple[str, Outcome]] = []

    @override
    async def stream(self, model: str, request: bytes, tell: Tell) -> Outcome:
        words, outcome = self.words, self.outcome
        if self.next:
            self.words, self.outcome = self.next.pop(0)
        tell(ROLE)
        for letter in words:
            await asyncio.sleep(self.every_s)
            tell(word(letter))
        return outcome


class Moody(TokenStreams):
    """Streams whose store is away for the first `failures` calls of each verb."""

    def __init__(self, streams: TokenStreams, failures: int) -> None:
        self._streams = streams
        self._begins = self._appends = failures

    @override
    async def begin(self, job_id: JobId, run: int) -> int | None:
        self._begins -= 1
        if self._begins >= 0:
            raise Unavailable("away", code="store_unavailable")
        return await self._streams.begin(job_id, run)

    @override
    async def append(self, job_id: JobId, entry: Entry) -> bool:
        self._appends -= 1
        if self._appends >= 0:
            raise Unavailable("away", code="store_unavailable")
        return await self._streams.append(job_id, entry)

    @override
    async def read(
        self, job_id: JobId, *, after: int, limit: int, wait_s: float = 0.0
    ) -> list[Entry]:
        return await self._streams.read(job_id, after=after, limit=limit, wait_s=wait_s)

    @override
    async def forget(self, ended_before: float) -> int:
        return await self._streams.forget(ended_before)


class Torn(Moody):
    """Streams that take some entries and then break for good, in a way nobody thought of."""

    def __init__(self, streams: TokenStreams, takes: int) -> None:
        super().__init__(streams, 0)
        self._takes = takes

    @override
    async def append(self, job_id: JobId, entry: Entry) -> bool:
        self._takes -= 1
        if self._takes < 0:
            raise RuntimeError("torn")
        return await super().append(job_id, entry)


async def claimed(pond: Pond, *, stream: bool = True) -> Claim:
    await pond.submit(a_job(accepted_at=pond.clock.now(), stream=stream))
    [claim] = await pond.delivery.claim([a_job().lane], worker="w", limit=1)
    return claim


def relay_of(pond: Pond, engine: ScriptedEngine, streams: TokenStreams | None = None) -> Relay:
    return Relay(engine, streams or pond.streams, clock=pond.clock, listener=pond.ear)


async def texts(pond: Pond, job: Job) -> list[str | None]:
    """What the entries say; None for a restart."""
    entries = await pond.streams.read(job.id, after=0, limit=1000)
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    return [
        None if entry.choices is None else text_of(msgspec.json.decode(entry.choices))
        for entry in entries
    ]


def everything(said: Sequence[str | None]) -> str:
    return "".join(text or "|" for text in said)


def test_a_job_that_asks_for_no_stream_has_none() -> None:
    async def experiment() -> None:
        pond = Pond()
        claim = await claimed(pond, stream=False)
        assert await relay_of(pond, Speaker("abc", 1)).ask(claim) == ANSWER
        assert await texts(pond, claim.job) == []

    run_virtually(experiment())


def test_tokens_are_there_while_the_engine_speaks() -> None:  # SPEC G4
    async def experiment() -> None:
        pond = Pond()
        claim = await claimed(pond)
        asking = asyncio.create_task(relay_of(pond, Speaker("abc", 1)).ask(claim))
        await asyncio.sleep(1.5)
        assert await texts(pond, claim.job) == ["a"]
        assert await asking == ANSWER
        assert await texts(pond, claim.job) == ["a", "b", "c"]
        [first] = pond.ear.heard(FirstToken)
        assert first.waited_s == pytest.approx(1)

    run_virtually(experiment())


def test_the_first_token_goes_at_once_and_the_others_in_groups() -> None:
    async def experiment() -> None:
        pond = Pond()
        claim = await claimed(pond)
        relay = relay_of(pond, Speaker("abcdefghijkl", APPEND_EVERY_S / 3.5))
        await relay.ask(claim)
        said = await texts(pond, claim.job)
        assert said[0] == "a"
        assert everything(said) == "abcdefghijkl"
        assert len(said) <= 5

    run_virtually(experiment())


@pytest.mark.parametrize("failures", [1, 3])
def test_a_store_that_is_away_loses_nothing(failures: int) -> None:
    async def experiment() -> None:
        pond = Pond()
        claim = await claimed(pond)
        relay = relay_of(pond, Speaker("abc", 0.1), Moody(pond.streams, failures))
        assert await relay.ask(claim) == ANSWER
        assert everything(await texts(pond, claim.job)) == "abc"

    run_virtually(experiment())


@pytest.mark.parametrize("takes", [0, 1, 2])
def test_a_stream_that_breaks_costs_no_answer(takes: int) -> None:  # SPEC W7
    async def experiment() -> None:
        pond = Pond()
        whole, pond.streams = pond.streams, Torn(pond.streams, takes)
        speaker = Speaker("abc", 0.1)
        worker = pond.worker(speaker)
        worker.start()
        job_id = await pond.submit(a_job(accepted_at=pond.clock.now(), stream=True))
        (job,) = await pond.ended(job_id)
        await worker.stop(grace_s=1)
        assert (job.state, job.attempts, job.lost_leases) == (JobState.SUCCEEDED, 1, 0)
        assert [fact.duty for fact in pond.ear.heard(DutyFailed)] == ["stream"]

        # What had been told is void: a reader gets the answer and no part of it.
        assert everything(await texts(pond, job)) == ["", "a|", "ab|"][takes]
        desk = Desk(pond.jobs, pond.clock)
        playing = Playback(whole, desk).play(job, quiet_s=60)
        played = [text_of(one.choices) async for one in playing if isinstance(one, Delta)]
        assert played == [*"abc"[:takes], "hi"]

    run_virtually(experiment())


def test_a_new_run_begins_with_a_restart() -> None:  # SPEC W7
    async def experiment() -> None:
        pond = Pond()
        speaker = Speaker("ab", 0.1, Broke("It broke."))
        speaker.next = [("xyz", ANSWER)]
        worker = pond.worker(speaker)
        worker.start()
        job_id = await pond.submit(a_job(accepted_at=pond.clock.now(), stream=True))
        (job,) = await pond.ended(job_id)
        await worker.stop(grace_s=1)
        assert everything(await texts(pond, job)) == "ab|xyz"

    run_virtually(experiment())


def test_an_engine_that_is_asked_again_begins_with_a_restart() -> None:  # SPEC W7
    async def experiment() -> None:
        pond = Pond()
        claim = await claimed(pond)
        relay = relay_of(pond, Speaker("ab", 0.1))
        await relay.ask(claim)
        await relay.ask(claim)
        assert everything(await texts(pond, claim.job)) == "ab|ab"

    run_virtually(experiment())


def test_a_worker_that_lost_its_claim_says_nothing_more() -> None:  # SPEC Q4
    async def experiment() -> None:
        pond = Pond()
        claim = await claimed(pond)
        asking = asyncio.create_task(relay_of(pond, Speaker("abc", 1)).ask(claim))
        await asyncio.sleep(1.5)
        await pond.jobs.swap(claim.job.cancelled(pond.clock.now()))
        assert await asking == ANSWER
        assert await texts(pond, claim.job) == ["a"]

    run_virtually(experiment())


def test_one_that_lost_it_before_it_began_says_nothing() -> None:
    async def experiment() -> None:
        pond = Pond()
        claim = await claimed(pond)
        await pond.jobs.swap(claim.job.cancelled(pond.clock.now()))
        assert await relay_of(pond, Speaker("abc", 1)).ask(claim) == ANSWER
        assert await texts(pond, claim.job) == []

    run_virtually(experiment())


def test_a_run_that_is_cut_off_ends_its_writing() -> None:
    async def experiment() -> None:
        pond = Pond()
        claim = await claimed(pond)
        asking = asyncio.create_task(relay_of(pond, Speaker("abc", 1)).ask(claim))
        await asyncio.sleep(1.5)
        asking.cancel()
        await asyncio.wait([asking])
        await asyncio.sleep(0)
        assert [task for task in asyncio.all_tasks() if task.get_name().startswith("stream")] == []

    run_virtually(experiment())
