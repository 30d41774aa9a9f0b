"""What every job store must do. Subclass `JobStoreSuite` and give it a `jobs` fixture."""

import asyncio

import pytest

from headpond.domain.job import Job, JobError, JobId, JobState, Usage
from headpond.ports.jobs import (
    HELD_ON_S,
    Added,
    Bodies,
    Existing,
    JobQuery,
    JobStore,
    NewJob,
    Try,
)
from headpond.testing.clocks import ManualClock
from headpond.testing.records import LONGEST, REQUEST, RESPONSE, a_job, new_job

WINDOW_S = 60.0

LEFT_S = 7 * 86_400.0
"""For so long may a store leave to its service what that removes by itself."""


def again(number: int, fingerprint: str = "f", now: float = 1_000_000.0) -> Try:
    """The try of this number, remembered for `WINDOW_S`."""
    return Try(fingerprint, number, now + WINDOW_S)


def a_try(number: int, job: Job | None = None) -> NewJob:
    """A job that a try makes."""
    return NewJob(job or a_job(), REQUEST, again(number))


class JobStoreSuite:
    """The contract of `headpond.ports.jobs`."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    async def jobs(self, clock: ManualClock) -> JobStore:
        raise NotImplementedError("give the suite a job store on this clock")

    async def test_a_record_comes_back_as_it_was_added(self, jobs: JobStore) -> None:
        job = a_job(
            feature="search",
            task_type="classify",
            metadata={"a": "b", "ü": '"'},
            work_tokens=12,
            max_attempts=5,
            deadline=1_000_060.5,
        )
        assert await jobs.add(new_job(job)) == Added(job)
        assert await jobs.get(job.id) == job
        assert await jobs.bodies(job.id) == Bodies(REQUEST)

    async def test_an_unknown_job_is_none(self, jobs: JobStore) -> None:
        assert await jobs.get(JobId("job_none")) is None
        assert await jobs.bodies(JobId("job_none")) is None

    async def test_a_swap_replaces_the_record_it_was_made_from(self, jobs: JobStore) -> None:
        job = a_job()
        await jobs.add(new_job(job))
        running = job.claimed("worker", 1_000_001)
        assert await jobs.swap(running)
        done = running.succeeded(
            1_000_002, engine="e", model_version="v", usage=Usage(3, 4), confidence=0.97
        )
        assert await jobs.swap(done, RESPONSE)
        assert await jobs.get(job.id) == done
        assert await jobs.bodies(job.id) == Bodies(REQUEST, RESPONSE)

    async def test_an_error_is_kept_with_the_record(self, jobs: JobStore) -> None:
        running = a_job().claimed("worker", 1_000_001)
        await jobs.add(new_job(running))
        failed = running.failed(1_000_002, JobError("code", "why"), engine="e")
        assert await jobs.swap(failed)
        assert await jobs.get(running.id) == failed

    async def test_an_old_record_can_change_nothing(self, jobs: JobStore) -> None:
        # SPEC Q2: of two that hold the same record, one wins.
        job = a_job()
        await jobs.add(new_job(job))
        winner = job.claimed("one", 1_000_001)
        assert await jobs.swap(winner)
        assert not await jobs.swap(job.claimed("two", 1_000_001))
        assert not await jobs.swap(job.enqueued(1_000_001))
        assert await jobs.get(job.id) == winner

    async def test_a_swap_of_an_unknown_job_changes_nothing(self, jobs: JobStore) -> None:
        job = a_job()
        assert not await jobs.swap(job.cancelled(1_000_001))
        assert await jobs.get(job.id) is None

    async def test_of_concurrent_swaps_exactly_one_wins(self, jobs: JobStore) -> None:
        job = a_job()
        await jobs.add(new_job(job))
        swaps = [jobs.swap(job.claimed(f"worker-{n}", 1_000_001)) for n in range(20)]
        assert sum(await asyncio.gather(*swaps)) == 1

    async def test_a_key_stands_for_one_job(self, jobs: JobStore) -> None:
        # SPEC G7
        first = a_job()
        await jobs.add(new_job(first, key="k", fingerprint="one"))
        second = a_job()
        stored = await jobs.add(new_job(second, key="k", fingerprint="two"))
        assert stored == Existing(first, "one")
        assert await jobs.get(second.id) is None

    async def test_of_concurrent_adds_under_one_key_exactly_one_is_stored(
        self, jobs: JobStore
    ) -> None:
        stored = await asyncio.gather(*(jobs.add(new_job(key="k")) for _ in range(20)))
        assert sum(isinstance(one, Added) for one in stored) == 1
        assert len({one.job.id for one in stored}) == 1

    async def test_keys_of_two_teams_do_not_meet(self, jobs: JobStore) -> None:
        await jobs.add(new_job(a_job(team="one"), key="k"))
        assert isinstance(await jobs.add(new_job(a_job(team="two"), key="k")), Added)

    async def test_an_expired_key_stands_for_nothing(
        self, jobs: JobStore, clock: ManualClock
    ) -> None:
        job = a_job()
        await jobs.add(new_job(job, key="k"))
        await jobs.swap(job.cancelled(1_000_001))
        clock.advance(86_400)
        assert isinstance(await jobs.add(new_job(key="k")), Added)

    async def test_a_key_holds_until_its_job_has_ended(
        self, jobs: JobStore, clock: ManualClock
    ) -> None:
        # SPEC G7
        job = a_job()
        await jobs.add(new_job(job, key="k"))
        clock.advance(2 * 86_400)
        assert await jobs.forget_keys(clock.now(), limit=10) == 0
        assert await jobs.known("team", "k") == Existing(job, "f")
        assert await jobs.add(new_job(key="k")) == Existing(job, "f")

        await jobs.swap(job.cancelled(clock.now()))
        clock.advance(HELD_ON_S)
        assert await jobs.known("team", "k") is None
        assert await jobs.forget_keys(clock.now(), limit=10) == 1

    async def test_what_a_key_stands_for_is_known(self, jobs: JobStore, clock: ManualClock) -> None:
        assert await jobs.known("team", "k") is None
        job = a_job()
        await jobs.add(new_job(job, key="k", fingerprint="f"))
        assert await jobs.known("team", "k") == Existing(job, "f")
        assert await jobs.known("other", "k") is None

        cancelled = job.cancelled(1_000_001)
        await jobs.swap(cancelled)
        assert await jobs.known("team", "k") == Existing(cancelled, "f")

        clock.advance(86_400)
        assert await jobs.known("team", "k") is None

    @pytest.mark.parametrize("team", LONGEST)
    async def test_a_team_and_its_keys_may_have_the_longest_names(
        self, jobs: JobStore, clock: ManualClock, team: str
    ) -> None:
        added = [a_job(team=team, model=team, feature=team) for _ in range(2)]
        keys = ["/" * 254 + letter for letter in "ab"]
        for job, key in zip(added, keys, strict=True):
            assert await jobs.add(new_job(job, key=key)) == Added(job)
        for job, key in zip(added, keys, strict=True):
            assert await jobs.known(team, key) == Existing(job, "f")
            assert await jobs.add(new_job(a_job(team=team), key=key)) == Existing(job, "f")
        assert await jobs.known(team[:-1], keys[0]) is None
        assert await jobs.find(JobQuery(team=team)) == added[::-1]

        assert await jobs.swap(added[0].cancelled(1_000_001))
        assert await jobs.forget_keys(clock.now() + 86_400, limit=9) == 1
        assert await jobs.known(team, keys[0]) is None
        assert await jobs.known(team, keys[1]) == Existing(added[1], "f")

    async def test_expired_keys_are_forgotten_a_few_at_a_time(
        self, jobs: JobStore, clock: ManualClock
    ) -> None:
        for number in range(3):
            job = a_job()
            await jobs.add(new_job(job, key=f"k{number}"))
            await jobs.swap(job.cancelled(1_000_001))
        assert await jobs.forget_keys(clock.now(), limit=2) == 0
        assert await jobs.forget_keys(clock.now() + 86_400, limit=2) == 2
        assert await jobs.forget_keys(clock.now() + 86_400, limit=2) == 1
        assert await jobs.forget_keys(clock.now() + 86_400, limit=2) == 0

    async def test_a_later_try_finds_the_job_of_the_first_one(self, jobs: JobStore) -> None:
        # SPEC G7
        first = a_job()
        assert await jobs.add(a_try(0, first)) == Added(first)
        assert await jobs.retried(again(1)) == Existing(first, "f")
        assert await jobs.add(a_try(2)) == Existing(first, "f")
        assert await jobs.retried(again(1, "another")) is None

    async def test_equal_requests_are_two_jobs(self, jobs: JobStore) -> None:
        # SPEC G7: each later try finds a job of its own, and then no other.
        one, two = a_job(), a_job()
        assert await jobs.add(a_try(0, one)) == Added(one)
        assert await jobs.add(a_try(0, two)) == Added(two)
        assert await jobs.retried(again(1)) == Existing(two, "f")
        assert await jobs.retried(again(1)) == Existing(one, "f")
        assert await jobs.retried(again(1)) is None

    async def test_a_try_goes_on_with_the_job_that_was_tried_most_often(
        self, jobs: JobStore
    ) -> None:
        one = a_job()
        await jobs.add(a_try(0, one))
        await jobs.retried(again(1))
        await jobs.add(a_try(0))
        assert await jobs.retried(again(2)) == Existing(one, "f")

    async def test_a_later_try_does_not_go_on_with_a_job_that_is_cancelled_or_erased(
        self, jobs: JobStore
    ) -> None:
        # A connection that breaks after the answer began has cancelled the job of its try.
        # SPEC G7
        running = a_job().claimed("w", 1_000_001)
        await jobs.add(a_try(0, running))
        done = running.succeeded(1_000_002, engine="e", usage=Usage(1, 2))
        await jobs.swap(done, RESPONSE)
        await jobs.erase(done.erased(1_000_003))
        first = a_job()
        await jobs.add(a_try(0, first))
        await jobs.swap(first.cancelled(1_000_001))
        assert await jobs.retried(again(1)) is None
        second = a_job()
        assert await jobs.add(a_try(1, second)) == Added(second)
        assert await jobs.retried(again(2)) == Existing(second, "f")

    async def test_a_later_try_whose_first_one_never_came_makes_the_job(
        self, jobs: JobStore
    ) -> None:
        assert await jobs.retried(again(1)) is None
        job = a_job()
        assert await jobs.add(a_try(1, job)) == Added(job)
        assert await jobs.retried(again(2)) == Existing(job, "f")

    async def test_tries_are_remembered_for_a_while(
        self, jobs: JobStore, clock: ManualClock
    ) -> None:
        job = a_job()
        await jobs.add(a_try(0, job))
        clock.advance(WINDOW_S - 1)
        assert await jobs.retried(again(1, now=clock.now())) == Existing(job, "f")
        clock.advance(2)
        assert await jobs.forget_keys(clock.now(), limit=10) == 0
        assert await jobs.retried(again(2, now=clock.now())) == Existing(job, "f")
        clock.advance(WINDOW_S)
        assert await jobs.retried(again(3)) is None
        clock.advance(LEFT_S)
        assert await jobs.retried(again(4, now=clock.now())) is None
        assert await jobs.forget_keys(clock.now(), limit=10) == 1

    async def test_of_concurrent_tries_exactly_one_makes_the_job(self, jobs: JobStore) -> None:
        tries = (jobs.add(a_try(number)) for number in range(20))
        stored = await asyncio.gather(*tries)
        assert len({one.job.id for one in stored}) == 1

    async def test_an_erased_job_keeps_its_record_alone(self, jobs: JobStore) -> None:
        # SPEC Q6 D6
        running = a_job().claimed("w", 1_000_001)
        await jobs.add(new_job(running))
        done = running.succeeded(1_000_002, engine="e", usage=Usage(1, 2))
        await jobs.swap(done, RESPONSE)
        erased = done.erased(1_000_003)
        assert await jobs.erase(erased)
        assert not await jobs.erase(erased)
        assert await jobs.get(done.id) == erased
        assert await jobs.bodies(done.id) is None

    async def test_jobs_are_found_newest_first_page_by_page(self, jobs: JobStore) -> None:
        made = [a_job() for _ in range(5)]
        for job in made:
            await jobs.add(new_job(job))
        newest_first = made[::-1]
        first = await jobs.find(JobQuery(team="team", limit=2))
        rest = await jobs.find(JobQuery(team="team", after=first[-1].id, limit=10))
        assert first + rest == newest_first

    async def test_jobs_are_found_by_team_and_state(self, jobs: JobStore) -> None:
        mine, running, other = a_job(), a_job(), a_job(team="other")
        for job in (mine, running, other):
            await jobs.add(new_job(job))
        running = running.claimed("worker", 1_000_001)
        await jobs.swap(running)
        assert await jobs.find(JobQuery(team="other")) == [other]
        assert await jobs.find(JobQuery(team="team", state=JobState.RUNNING)) == [running]
        assert await jobs.find(JobQuery(state=JobState.ACCEPTED)) == [other, mine]

    async def test_overdue_and_unqueued_jobs_are_due(self, jobs: JobStore) -> None:
        fresh, stale = a_job(accepted_at=1_000_100.0), a_job(accepted_at=1_000_000.0)
        overdue = a_job(deadline=1_000_050.0).enqueued(1_000_000.0)
        in_time = a_job(deadline=1_000_500.0).enqueued(1_000_000.0)
        ended = a_job(deadline=1_000_050.0).enqueued(1_000_000.0)
        for job in (fresh, stale, overdue, in_time, ended):
            await jobs.add(new_job(job))
        await jobs.swap(ended.cancelled(1_000_010.0))
        due = await jobs.due(now=1_000_100.0, accepted_before=1_000_050.0, limit=10)
        assert {job.id for job in due} == {stale.id, overdue.id}
        assert len(await jobs.due(now=1_000_100.0, accepted_before=1_000_050.0, limit=1)) == 1

    async def test_a_job_that_is_due_twice_over_comes_once(self, jobs: JobStore) -> None:
        job = a_job(deadline=1_000_001.0)
        await jobs.add(new_job(job))
        due = await jobs.due(now=1_000_100.0, accepted_before=1_000_050.0, limit=10)
        assert due == [job]

    async def test_a_waiter_learns_of_a_change(self, jobs: JobStore) -> None:
        job = a_job()
        await jobs.add(new_job(job))
        waiters = [
            asyncio.create_task(jobs.wait_for_change(job.id, job.version, 30)) for _ in range(3)
        ]
        await asyncio.sleep(0)
        queued = job.enqueued(1_000_001)
        await jobs.swap(queued)
        assert await asyncio.gather(*waiters) == [queued] * 3

    async def test_a_change_that_has_happened_needs_no_waiting(self, jobs: JobStore) -> None:
        job = a_job()
        await jobs.add(new_job(job))
        await jobs.swap(job.enqueued(1_000_001))
        assert await jobs.wait_for_change(job.id, job.version, 0) == job.enqueued(1_000_001)

    async def test_without_a_change_the_waiter_gets_none(self, jobs: JobStore) -> None:
        job = a_job()
        await jobs.add(new_job(job))
        assert await jobs.wait_for_change(job.id, job.version, 0) is None
