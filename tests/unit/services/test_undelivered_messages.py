"""A message that was set aside is seen to, and its job has one end."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest
from typing_extensions import override

from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.domain.facts import Reaped
from headpond.domain.job import Job, JobId, JobState, Ticket
from headpond.domain.lane import Lane
from headpond.errors import Unavailable, Unreadable
from headpond.ports.jobs import JobStore
from headpond.ports.queue import DeadLetterQueue, Lease, LeaseToken, Message, message_of
from headpond.services import undelivered_messages as module
from headpond.services.undelivered_messages import UndeliveredMessages
from headpond.testing.queue_suite import BATCH, INTERACTIVE
from headpond.testing.records import a_job, new_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import Pond, ScriptedEngine


class Aside(DeadLetterQueue):
    """What lies beside lanes, a message a page. Lanes that are `away` cannot be looked at."""

    def __init__(self, *messages: Message, away: Sequence[Lane] = ()) -> None:
        self.leases = [
            Lease(message, LeaseToken(str(number))) for number, message in enumerate(messages)
        ]
        self._away = away
        self.pages = 0

    @override
    async def undelivered(self, lane: Lane) -> AsyncGenerator[Sequence[Lease]]:
        if lane in self._away:
            raise Unavailable("not now", code="queue_unavailable")
        for lease in [each for each in self.leases if each.message.lane == lane]:
            self.pages += 1
            yield [lease]

    @override
    async def discard(self, lane: Lane, leases: Sequence[Lease]) -> None:
        assert all(lease.message.lane == lane for lease in leases)
        self.leases = [lease for lease in self.leases if lease not in leases]


def duty_of(pond: Pond, aside: Aside, jobs: JobStore | None = None) -> UndeliveredMessages:
    return UndeliveredMessages(
        aside,
        [BATCH, INTERACTIVE],
        jobs or pond.jobs,
        pond.delivery,
        clock=pond.clock,
        listener=pond.ear,
    )


async def set_aside(pond: Pond) -> Job:
    """A job whose message is not in its lane any more."""
    job = await pond.record(await pond.submit(a_job(accepted_at=pond.clock.now())))
    await pond.queue.ack(await pond.queue.receive([BATCH], limit=1, lease_s=10))
    return job


def test_a_job_that_waits_gets_a_new_message_uncharged() -> None:
    async def experiment() -> None:
        pond = Pond()
        job = await set_aside(pond)
        aside = Aside(message_of(job))
        assert await duty_of(pond, aside).tick() == 1
        assert aside.leases == []
        assert [fact.action for fact in pond.ear.heard(Reaped)] == ["reissued"]
        async with pond.working(ScriptedEngine()):
            (ended,) = await pond.ended(job.id)
        assert (ended.state, ended.attempts) == (JobState.SUCCEEDED, 1)

    run_virtually(experiment())


def test_a_run_whose_worker_died_is_begun_anew() -> None:
    async def experiment() -> None:
        pond = Pond()
        job_id = await pond.submit(a_job(accepted_at=pond.clock.now()))
        (claim,) = await pond.delivery.claim([BATCH], worker="dies", limit=1)
        await pond.queue.ack([claim.lease])
        assert await duty_of(pond, Aside(claim.lease.message)).tick() == 1
        async with pond.working(ScriptedEngine()):
            (ended,) = await pond.ended(job_id)
        assert (ended.state, ended.attempts, ended.lost_leases) == (JobState.SUCCEEDED, 1, 0)

    run_virtually(experiment())


@pytest.mark.parametrize("state", [state for state in JobState if state.terminal])
def test_the_message_of_a_job_that_ended_is_removed(state: JobState) -> None:
    async def experiment() -> None:
        pond = Pond()
        job = a_job(state=state)
        await pond.jobs.add(new_job(job))
        aside = Aside(message_of(job))
        assert await duty_of(pond, aside).tick() == 1
        assert aside.leases == []
        assert await pond.record(job.id) == job

    run_virtually(experiment())


def test_a_message_that_does_not_count_any_more_is_removed() -> None:
    async def experiment() -> None:
        pond = Pond()
        job = await pond.record(await pond.submit(a_job(accepted_at=pond.clock.now())))
        old = Message(job.id, Ticket("old"), BATCH, job.team, 1)
        unknown = Message(JobId("unknown"), job.ticket, INTERACTIVE, job.team, 1)
        aside = Aside(old, unknown)
        assert await duty_of(pond, aside).tick() == 2
        assert aside.leases == []
        assert await pond.record(job.id) == job

    run_virtually(experiment())


def test_what_is_delayed_keeps_its_delay() -> None:
    async def experiment() -> None:
        pond = Pond()
        dead = a_job(accepted_at=pond.clock.now(), state=JobState.DEAD)
        await pond.jobs.add(new_job(dead))
        await pond.delivery.redrive(dead, delay_s=3_600)
        job = await pond.record(dead.id)
        aside = Aside(message_of(job))
        assert await duty_of(pond, aside).tick() == 0
        assert await pond.record(job.id) == job
        await asyncio.sleep(3_600)
        assert await duty_of(pond, aside).tick() == 1
        assert aside.leases == []

    run_virtually(experiment())


def test_of_several_gateways_one_sends_it_again() -> None:
    async def experiment() -> None:
        pond = Pond()
        job = await set_aside(pond)
        asides = [Aside(message_of(job)) for _ in range(4)]
        # Those that came too late find at their next look that it does not count any more.
        for _ in range(2):
            await asyncio.gather(*(duty_of(pond, aside).tick() for aside in asides))
            assert (await pond.queue.depth(BATCH)).ready == 1
        assert not any(aside.leases for aside in asides)

    run_virtually(experiment())


def test_a_record_that_cannot_be_read_leaves_its_message_where_it_is_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def experiment() -> None:
        pond = Pond()

        class Newer(MemoryJobStore):
            """Records of a release that this one does not know."""

            @override
            async def get(self, job_id: JobId) -> Job | None:
                raise Unreadable(job_id)

        aside = Aside(message_of(a_job()))
        duty = duty_of(pond, aside, Newer(pond.clock))
        for _ in range(2):
            assert await duty.tick() == 0
        assert len(aside.leases) == 1
        assert caplog.text.count("a message that was set aside stays there") == 1

    run_virtually(experiment())


def test_a_lane_that_cannot_be_looked_at_keeps_nobody_from_the_others() -> None:
    async def experiment() -> None:
        pond = Pond()
        job = await set_aside(pond)
        aside = Aside(message_of(job), away=[INTERACTIVE])
        with pytest.raises(Unavailable):
            await duty_of(pond, aside).tick()
        assert aside.leases == []

    run_virtually(experiment())


def test_a_look_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGES", 2)

    async def experiment() -> None:
        pond = Pond()
        ended = [a_job(state=JobState.DEAD) for _ in range(3)]
        aside = Aside(*map(message_of, ended))
        duty = duty_of(pond, aside)
        assert await duty.tick() == 2
        assert await duty.tick() == 1
        assert aside.pages == 3

    run_virtually(experiment())
