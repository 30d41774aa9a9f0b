"""What every store of token streams must do. Give `TokenStreamsSuite` a `stage` fixture."""

import asyncio
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from headpond.domain.job import Job, JobId
from headpond.ports.jobs import JobStore
from headpond.ports.streams import Entry, TokenStreams
from headpond.testing.records import a_job, new_job

SOON_S = 5.0
HELLO, WORLD = b'[{"delta":{"content":"hello"}}]', b'[{"delta":{"content":" world"}}]'


@dataclass(frozen=True)
class Stage:
    """Streams, and the job store whose records fence them."""

    streams: TokenStreams
    jobs: JobStore

    async def running(self) -> Job:
        """A job that a worker has claimed."""
        return await self.claimed((await self.jobs.add(new_job(a_job()))).job)

    async def claimed(self, job: Job) -> Job:
        """The job in the hands of a worker, another one if it had one."""
        return await self.swapped(job.claimed("worker", 1_000_000.0))

    async def swapped(self, job: Job) -> Job:
        """The record, stored."""
        assert await self.jobs.swap(job)
        return job

    async def said(self, job: Job, *texts: bytes) -> list[Entry]:
        """What the job's run says, appended and returned."""
        last = await self.streams.begin(job.id, job.version)
        assert last is not None
        entries = [Entry(seq, job.version, text) for seq, text in enumerate(texts, start=last + 1)]
        for entry in entries:
            assert await self.streams.append(job.id, entry)
        return entries

    async def all(self, job: Job) -> list[Entry]:
        """The job's stream."""
        return await self.streams.read(job.id, after=0, limit=1000)


class TokenStreamsSuite:
    """The contract of `headpond.ports.streams`. SPEC G4, W7."""

    @pytest.fixture
    async def stage(self) -> Stage:
        raise NotImplementedError("give the suite streams and a job store")

    async def test_entries_are_read_in_their_order(self, stage: Stage) -> None:
        job = await stage.running()
        first, second = await stage.said(job, HELLO, WORLD)
        assert (first.seq, second.seq) == (1, 2)
        assert await stage.all(job) == [first, second]

    async def test_a_reader_goes_on_where_it_was(self, stage: Stage) -> None:
        job = await stage.running()
        entries = await stage.said(job, *[HELLO] * 5)
        assert await stage.streams.read(job.id, after=2, limit=2) == entries[2:4]
        assert await stage.streams.read(job.id, after=5, limit=2) == []

    async def test_streams_do_not_meet(self, stage: Stage) -> None:
        one, other = await stage.running(), await stage.running()
        await stage.said(one, HELLO)
        [entry] = await stage.said(other, WORLD)
        assert await stage.all(other) == [entry]
        assert await stage.streams.read(JobId("job_none"), after=0, limit=9) == []

    async def test_a_double_is_stored_once(self, stage: Stage) -> None:
        job = await stage.running()
        [entry] = await stage.said(job, HELLO)
        assert await stage.streams.append(job.id, entry)
        assert await stage.all(job) == [entry]

    async def test_to_begin_twice_changes_nothing(self, stage: Stage) -> None:
        job = await stage.running()
        await stage.said(job, HELLO)
        assert await stage.streams.begin(job.id, job.version) == 2
        assert await stage.streams.begin(job.id, job.version) == 2
        assert [entry.choices for entry in await stage.all(job)] == [HELLO, None]

    async def test_a_run_may_begin_again(self, stage: Stage) -> None:
        job = await stage.running()
        [hello] = await stage.said(job, HELLO)
        [world] = await stage.said(job, WORLD)
        assert await stage.all(job) == [hello, Entry(2, job.version), world]

    async def test_a_new_run_declares_void_what_was_said(self, stage: Stage) -> None:
        first = await stage.running()
        [hello] = await stage.said(first, HELLO)
        second = await stage.claimed(first)
        [world] = await stage.said(second, WORLD)
        assert await stage.all(second) == [hello, Entry(2, second.version), world]
        assert world.seq == 3

    async def test_runs_that_said_nothing_leave_no_trace(self, stage: Stage) -> None:
        job = await stage.running()
        assert await stage.streams.begin(job.id, job.version) == 0
        job = await stage.claimed(job)
        await stage.said(job, HELLO)
        for _ in range(3):
            job = await stage.claimed(job)
            assert await stage.streams.begin(job.id, job.version) == 2
        assert [entry.choices for entry in await stage.all(job)] == [HELLO, None]

    async def test_a_run_that_was_taken_over_writes_nothing(self, stage: Stage) -> None:
        zombie = await stage.running()
        entries = await stage.said(zombie, HELLO)
        heir = await stage.claimed(zombie)
        late = Entry(2, zombie.version, WORLD)
        assert not await stage.streams.append(zombie.id, late)
        assert await stage.streams.begin(zombie.id, zombie.version) is None
        assert await stage.all(heir) == entries
        assert await stage.streams.begin(heir.id, heir.version) == 2
        assert not await stage.streams.append(zombie.id, replace(late, seq=3))

    async def test_nothing_follows_the_end_of_the_job(self, stage: Stage) -> None:
        job = await stage.running()
        entries = await stage.said(job, HELLO)
        await stage.swapped(job.cancelled(1_000_001.0))
        assert not await stage.streams.append(job.id, Entry(2, job.version, WORLD))
        assert await stage.all(job) == entries

    async def test_a_waiting_reader_hears_at_once(self, stage: Stage) -> None:
        job = await stage.running()
        reading = asyncio.create_task(
            stage.streams.read(job.id, after=0, limit=9, wait_s=SOON_S * 2)
        )
        await asyncio.sleep(0)
        entries = await stage.said(job, HELLO)
        async with asyncio.timeout(SOON_S):
            assert await reading == entries

    async def test_a_reader_does_not_wait_for_what_is_there(self, stage: Stage) -> None:
        job = await stage.running()
        entries = await stage.said(job, HELLO)
        async with asyncio.timeout(SOON_S):
            assert await stage.streams.read(job.id, after=0, limit=9, wait_s=3600) == entries

    async def test_a_reader_waits_no_longer_than_it_wants(self, stage: Stage) -> None:
        job = await stage.running()
        assert await stage.streams.read(job.id, after=0, limit=9, wait_s=0.01) == []

    async def test_streams_are_forgotten_some_time_after_the_end(self, stage: Stage) -> None:
        runs = await stage.running()
        entries = await stage.said(runs, HELLO)
        for ended_at in (1_000_010.0, 1_000_020.0):
            job = await stage.running()
            await stage.said(job, HELLO, WORLD)
            await stage.swapped(job.cancelled(ended_at))
        assert await stage.streams.forget(1_000_010.0) == 0
        assert await stage.streams.forget(1_000_015.0) == 1
        assert await stage.streams.forget(1_000_015.0) == 0
        assert await stage.streams.forget(1_000_030.0) == 1
        assert await stage.all(runs) == entries
