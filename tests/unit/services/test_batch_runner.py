"""A batch is seen to its end, whatever step of a process is the last. SPEC G2 G7."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from headpond.domain.batch import Batch, BatchStatus, Counts, Cursor
from headpond.domain.facts import BatchAdvanced, BatchEnded, DutyFailed
from headpond.domain.file import File, FileId, Purpose
from headpond.domain.identity import Identity
from headpond.domain.job import JobState
from headpond.domain.outcome import Broke, Refused
from headpond.errors import Unavailable
from headpond.ports.files import FileQuery
from headpond.ports.jobs import JobQuery
from headpond.services import batch_input, batch_judge, batch_runner
from headpond.services.batch_hold import LeaseLost
from headpond.services.batch_runner import MAX_REST_S
from headpond.services.batches import BatchOrder
from headpond.services.duty import Duty
from headpond.services.files import FORSAKEN_S, About
from headpond.services.reaper import Reaper
from headpond.settings import BatchSettings, GatewaySettings
from headpond.testing.faults import Crash, Faults, When
from headpond.testing.virtual_time import LoopClock, run_virtually
from tests.stages import Stage, answered

TEAM = Identity("team", "feature")
CHAT = "/v1/chat/completions"
LEASE_S = 30.0
SETTINGS = BatchSettings(every_s=1.0, lease_s=LEASE_S)


def line(custom_id: str, text: str = "hello", **more: object) -> bytes:
    body = {"model": "model", "messages": [{"role": "user", "content": text}], **more}
    return json.dumps(
        {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}
    ).encode()


class World(Stage):
    """A stage on virtual time."""

    def __init__(self, **more: Any) -> None:
        super().__init__(clock=LoopClock(), **more)

    async def file(self, lines: Sequence[bytes]) -> FileId:
        async def pieces() -> AsyncIterator[bytes]:
            for text in lines:
                yield text + b"\n"

        about = About("input.jsonl", Purpose.BATCH)
        return (await self.files.store(pieces(), lambda: about, TEAM)).id

    async def batch(self, lines: Sequence[bytes], *, window_s: int = 86_400) -> Batch:
        order = BatchOrder(
            endpoint=CHAT,
            input_file=await self.file(lines),
            completion_window="24h",
            window_s=window_s,
        )
        return await self.parts.batches.create(order, TEAM)

    async def now(self, batch: Batch) -> Batch:
        """The batch as it stands."""
        return await self.parts.batches.batch(batch.id, TEAM)

    async def until(self, batch: Batch, status: BatchStatus, lines: int) -> Batch:
        """The batch once it is there, with so many lines handed in."""
        while True:
            batch = await self.now(batch)
            if batch.status is status and batch.cursor.lines == lines:
                return batch
            await asyncio.sleep(0.1)

    async def ended(self, batch: Batch) -> Batch:
        """The batch once it has ended."""
        while True:
            batch = await self.now(batch)
            if batch.status.ended:
                return batch
            await asyncio.sleep(1)

    async def content(self, file_id: FileId | None) -> list[Any]:
        if file_id is None:
            return []
        file = await self.files.file(file_id, TEAM)
        text = b"".join([piece async for piece in self.files.read(file)])
        assert len(text) == file.size
        return [msgspec.json.decode(one) for one in text.splitlines()]

    async def told(self, batch: Batch) -> list[str]:
        """The custom ids of all lines that the batch wrote."""
        lines = await self.content(batch.output_file) + await self.content(batch.error_file)
        return sorted(one["custom_id"] for one in lines)

    @asynccontextmanager
    async def working(self) -> AsyncGenerator[None]:
        """A worker that answers whatever comes, and a reaper."""

        async def work() -> None:
            while True:
                claim = await self.claim()
                text = msgspec.json.decode(claim.request)["messages"][0]["content"]
                await asyncio.sleep(0.5)
                match text:
                    case "refuse":
                        await self.settle(claim, Refused("no", "context_length_exceeded"))
                    case "break":
                        await self.settle(claim, Broke("crash"))
                    case _:
                        await self.settle(claim, answered(text))

        reaper = Reaper(
            self.jobs,
            self.delivery,
            clock=self.clock,
            listener=self.recorder,
            accepted_grace_s=5.0,
        )
        duty = Duty("reaper", reaper.tick, every_s=5.0, listener=self.recorder)
        duty.start()
        task = asyncio.create_task(work())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            await duty.stop()


LINES = [line("a"), line("b", "refuse"), b"", line("c")]


async def complete(world: World) -> Batch:
    """A batch at its beginning, with a worker at work."""
    return await world.batch(LINES)


async def cancelled(world: World) -> Batch:
    """A batch whose owner cancels it when half of it is handed in."""
    batch = await world.batch(LINES)
    size = len(LINES[0]) + 1
    taken = batch.begun(world.clock.now(), 3, "model").progressed(Cursor(1, size), Counts(3))
    world.batch_store._batches[batch.id] = taken
    source = world.runner()._source
    async for group in source.groups(taken):
        [draft] = (await source.drafts(taken, group))[:1]
        await world.submission.submit_line(draft.job, draft.request)
    return await world.parts.batches.cancel(batch.id, TEAM)


async def expiring(world: World) -> Batch:
    """A batch that nobody works on, and whose window closes soon."""
    return await world.batch(LINES, window_s=5)


CASES = {
    complete: (BatchStatus.COMPLETED, Counts(3, 2, 1, 0)),
    cancelled: (BatchStatus.CANCELLED, Counts(3, 0, 0, 3)),
    expiring: (BatchStatus.EXPIRED, Counts(3, 0, 0, 3)),
}


async def strike(case: Any, call: int | None, when: When) -> bool:
    """Let a process die at that call of its ports; another goes on. True if it died."""
    world, faults = World(), Faults()
    batch = await case(world)
    status, counts = CASES[case]
    async with world.working() if case is complete else _nobody():
        faults.arm(call, when)
        died = False
        try:
            await world.runner("first", SETTINGS, faults).run(batch)
        except Crash:
            died = True
            await asyncio.sleep(LEASE_S)
            batch = await world.now(batch)
            if not batch.status.ended:
                await world.runner("second", SETTINGS).run(batch)
        batch = await world.now(batch)

    assert (batch.status, batch.counts) == (status, counts)
    assert await world.told(batch) == ["a", "b", "c"]
    jobs = await world.jobs.find(JobQuery(limit=100))
    assert len(jobs) == 3
    assert all(job.state.terminal and job.batch == batch.id for job in jobs)
    await asyncio.sleep(FORSAKEN_S + 1)
    await world.files.remove_old()
    files = await world.files.find(FileQuery(team="team", now=world.clock.now()))
    blobs = await world.blobs.written_before(world.clock.now() + 1)
    assert sorted(blobs) == sorted(file.blob for file in files)
    return died


@asynccontextmanager
async def _nobody() -> AsyncGenerator[None]:
    yield


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_may_die_at_any_step(case: Any, when: When) -> None:
    call = 0
    while run_virtually(strike(case, call, when)):
        call += 1
    assert call > 20


def test_each_status_that_is_entered_is_told() -> None:
    async def experiment() -> list[object]:
        world = World()
        batch = await world.batch([line("a")])
        async with world.working():
            await world.runner(settings=SETTINGS).run(batch)
        told = [
            fact for fact in world.recorder.facts if isinstance(fact, BatchAdvanced | BatchEnded)
        ]
        return [(type(fact), fact.batch.status) for fact in told]

    assert run_virtually(experiment()) == [
        (BatchAdvanced, BatchStatus.VALIDATING),
        (BatchAdvanced, BatchStatus.IN_PROGRESS),
        (BatchAdvanced, BatchStatus.FINALIZING),
        (BatchEnded, BatchStatus.COMPLETED),
    ]


def test_what_slept_through_its_lease_finds_that_out() -> None:
    async def experiment() -> None:
        world = World()
        batch = await world.batch([line("a")])
        sleepy = BatchSettings(every_s=10 * LEASE_S, lease_s=LEASE_S)
        first = asyncio.create_task(world.runner("first", sleepy).run(batch))
        batch = await world.until(batch, BatchStatus.IN_PROGRESS, 1)
        await asyncio.sleep(LEASE_S + 10)
        assert first.get_name()
        async with world.working():
            await world.runner("second", SETTINGS).run(await world.now(batch))
        ended = await world.now(batch)
        with pytest.raises(LeaseLost):
            await first
        assert await world.now(batch) == ended
        assert ended.status is BatchStatus.COMPLETED

    run_virtually(experiment())


def test_a_line_of_a_batch_that_ended_early_cannot_be_handed_in_any_more() -> None:
    async def experiment() -> None:
        world = World()
        batch = await cancelled(world)
        await world.runner(settings=SETTINGS).run(batch)
        source = world.runner()._source
        async for group in source.groups(batch):
            for draft in await source.drafts(batch, group):
                await world.submission.submit_line(draft.job, draft.request)

        assert await world.batch_lines.tally(batch.id) == {JobState.CANCELLED: 3}

    run_virtually(experiment())


def test_two_runners_share_the_batches_and_each_goes_on_where_the_other_stops() -> None:
    async def experiment() -> None:
        world = World()
        batches = [await world.batch([line("a"), line("b")]) for _ in range(3)]
        first, second = world.runner("first", SETTINGS), world.runner("second", SETTINGS)
        await first.tick()
        await first.tick()
        for batch in batches:
            await world.until(batch, BatchStatus.IN_PROGRESS, 2)
        await second.tick()
        assert {(await world.now(batch)).runner for batch in batches} == {"first"}

        await first.stop()
        await first.stop()
        assert {(await world.now(batch)).runner for batch in batches} == {None}
        async with world.working():
            await second.tick()
            for batch in batches:
                await world.ended(batch)
        await second.stop()
        assert not [fact for fact in world.recorder.facts if isinstance(fact, DutyFailed)]

    run_virtually(experiment())


def test_of_two_that_take_a_batch_at_once_one_runs_it() -> None:
    async def experiment() -> None:
        world = World()
        batch = await world.batch([line("a")])
        first, second = world.runner("first", SETTINGS), world.runner("second", SETTINGS)
        await asyncio.gather(first.tick(), second.tick())
        batch = await world.until(batch, BatchStatus.IN_PROGRESS, 1)
        with pytest.raises(LeaseLost):
            await world.runner("third", SETTINGS).run(batch)
        await first.stop()
        await second.stop()

    run_virtually(experiment())


def test_a_store_that_is_away_for_a_moment_delays_the_batch() -> None:
    async def experiment() -> None:
        world, faults = World(), Faults()
        batch = await world.batch([line("a")])
        runner = world.runner("first", SETTINGS, faults)
        faults.arm(5, "before", Unavailable("away", code="store_unavailable"))
        async with world.working():
            while not (await world.now(batch)).status.ended:
                await runner.tick()
                await asyncio.sleep(1)
        [failure] = [fact for fact in world.recorder.facts if isinstance(fact, DutyFailed)]
        assert "away" in failure.error
        assert await world.told(await world.now(batch)) == ["a"]

    run_virtually(experiment())


def test_a_batch_is_cancelled_before_it_was_looked_at() -> None:
    async def experiment() -> Batch:
        world = World()
        batch = await world.parts.batches.cancel((await world.batch(LINES)).id, TEAM)
        await world.runner(settings=SETTINGS).run(batch)
        return await world.now(batch)

    batch = run_virtually(experiment())
    assert batch.status is BatchStatus.CANCELLED
    assert batch.counts == Counts()
    assert batch.output_file is None


def test_a_batch_that_is_cancelled_at_its_last_moment_is_cancelled() -> None:
    async def experiment() -> Batch:
        world = World()
        batch = await world.batch([line("a")])
        runner = world.runner(settings=BatchSettings(every_s=100.0, lease_s=LEASE_S))
        running = asyncio.create_task(runner.run(batch))
        await world.until(batch, BatchStatus.IN_PROGRESS, 1)
        await world.work()
        # The runner has counted, and writes that every line has ended, when the cancel comes.
        tally = world.batch_lines.tally

        async def late(batch_id: Any) -> Any:
            found = await tally(batch_id)
            await world.parts.batches.cancel(batch_id, TEAM)
            world.batch_lines.tally = tally
            return found

        world.batch_lines.tally = late
        await running
        return await world.now(batch)

    batch = run_virtually(experiment())
    assert batch.status is BatchStatus.CANCELLED
    assert batch.counts == Counts(1, 1, 0, 0)


def test_an_input_of_several_groups_and_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_input, "GROUP_LINES", 3)
    monkeypatch.setattr(batch_runner, "SLICE_GROUPS", 2)
    names = [f"{number:02}" for number in range(20)]

    async def experiment() -> list[str]:
        world = World()
        batch = await world.batch([line(name) for name in names])
        async with world.working():
            await world.runner(settings=SETTINGS).run(batch)
        batch = await world.now(batch)
        assert batch.counts == Counts(20, 20)
        lines = await world.content(batch.output_file)
        return [one["custom_id"] for one in lines]

    assert run_virtually(experiment()) == names


def test_progress_is_told_on_the_way() -> None:
    async def experiment() -> None:
        world = World()
        batch = await world.batch([line("a"), line("b", "break")])
        running = asyncio.create_task(world.runner(settings=SETTINGS).run(batch))
        await world.until(batch, BatchStatus.IN_PROGRESS, 2)
        await world.work()
        await asyncio.sleep(2)
        assert (await world.now(batch)).counts == Counts(2, 1)
        # A long wait is no reason to lose the lease.
        await asyncio.sleep(10 * LEASE_S)
        assert (await world.now(batch)).leased_until > world.clock.now()
        for _ in range(3):
            await world.work(Broke("crash"))
            await asyncio.sleep(60)
        await running
        batch = await world.now(batch)
        assert batch.counts == Counts(2, 1, 1)
        [dead] = await world.content(batch.error_file)
        assert dead["response"]["status_code"] == 502

    run_virtually(experiment())


def test_lines_that_no_settings_take_any_more_have_failed() -> None:
    async def experiment() -> None:
        world = World()
        batch = await world.batch([line("short", "a"), line("long", "a" * 100)])
        begun = batch.begun(world.clock.now(), 2, "model")
        world.batch_store._batches[batch.id] = begun
        world.settings = GatewaySettings(max_prompt_chars=50)
        async with world.working():
            await world.runner(settings=SETTINGS).run(begun)
        batch = await world.now(batch)
        assert batch.counts == Counts(2, 1, 1)
        [long] = await world.content(batch.error_file)
        assert long["response"]["body"]["error"]["code"] == "prompt_too_long"

        again = (await world.batch([line("long", "a" * 100)], window_s=1)).begun(0.0, 1, None)
        world.batch_store._batches[again.id] = again
        await asyncio.sleep(2)
        await world.runner(settings=SETTINGS).run(again)
        assert (await world.now(again)).counts == Counts(1, 0, 1)

    run_virtually(experiment())


def test_lines_that_are_too_long_by_now_have_failed() -> None:
    """The settings were lowered when the batch had begun: each line is told of all the same."""

    async def experiment() -> None:
        world = World()
        batch = await world.batch([line("short", "a"), line("long", "a" * 2_000)])
        begun = batch.begun(world.clock.now(), 2, "model")
        world.batch_store._batches[batch.id] = begun
        world.settings = GatewaySettings(max_body_bytes=1_000)
        async with world.working():
            await world.runner(settings=SETTINGS).run(begun)
        batch = await world.now(batch)
        assert (batch.status, batch.counts) == (BatchStatus.COMPLETED, Counts(2, 1, 1))
        [long] = await world.content(batch.error_file)
        assert (long["custom_id"], long["response"]["status_code"]) == ("long", 400)
        assert long["response"]["body"]["error"]["code"] == "line_too_long"

    run_virtually(experiment())


def test_a_request_that_its_endpoint_refuses_costs_the_others_nothing() -> None:
    async def experiment() -> None:
        world = World()
        lines = [line("a"), line("b", temperature=7), line("c", max_tokens=10**6)]
        lines += [line("d", expires_in=9), line("e", deadline="2026-01-01T00:00:00Z")]
        batch = await world.batch(lines)
        async with world.working():
            await world.runner(settings=SETTINGS).run(batch)
        batch = await world.now(batch)
        assert (batch.status, batch.counts) == (BatchStatus.COMPLETED, Counts(5, 1, 4))
        assert batch.model == "model"
        told = await world.content(batch.error_file)
        codes = [one["response"]["body"]["error"]["code"] for one in told]
        assert codes == ["invalid_value", "too_many_tokens", *["unsupported_parameter"] * 2]
        assert [one["custom_id"] for one in told] == ["b", "c", "d", "e"]

    run_virtually(experiment())


def test_a_batch_that_cannot_go_on_is_tried_less_and_less_often() -> None:
    async def experiment() -> None:
        world = World()
        batch = await world.batch([line("a")])
        runner = world.runner(settings=SETTINGS)
        tries: list[float] = []

        async def fail(*_: object) -> bool:
            tries.append(asyncio.get_running_loop().time())
            raise Unavailable("away", code="store_unavailable")

        store = runner._source._files
        well, store.get = store.get, fail  # pyright: ignore[reportAttributeAccessIssue]
        for _ in range(600):
            await runner.tick()
            await asyncio.sleep(1)
        pauses = [later - earlier for earlier, later in pairwise(tries)]
        assert pauses == sorted(pauses)
        assert (pauses[0] < 3, pauses[-1]) == (True, MAX_REST_S)
        store.get = well  # pyright: ignore[reportAttributeAccessIssue]
        async with world.working():
            while not (await world.now(batch)).status.ended:
                await runner.tick()
                await asyncio.sleep(1)
        assert await world.told(await world.now(batch)) == ["a"]
        await runner.tick()
        assert runner._troubles == {}

    run_virtually(experiment())


def test_a_runner_that_slept_before_it_named_its_output_writes_it_again() -> None:
    """The bytes are taken for forsaken meanwhile, and no file ever names what is gone."""

    async def experiment() -> None:
        world, faults = World(), Faults()
        batch = await world.batch([line("a")])
        runner = world.runner("first", BatchSettings(every_s=1.0, lease_s=2 * FORSAKEN_S), faults)
        put, slept = world.file_store.put, False

        async def sleep_and_put(file: File) -> bool:
            nonlocal slept
            if not slept:
                slept = True
                await asyncio.sleep(FORSAKEN_S + 1)
                await world.files.remove_old()
            return await put(file)

        world.file_store.put = sleep_and_put  # pyright: ignore[reportAttributeAccessIssue]
        async with world.working():
            while not (await world.now(batch)).status.ended:
                await runner.tick()
                await asyncio.sleep(1)
        batch = await world.now(batch)
        assert batch.status is BatchStatus.COMPLETED
        assert await world.told(batch) == ["a"]
        [failure] = [fact for fact in world.recorder.facts if isinstance(fact, DutyFailed)]
        assert "removed before" in failure.error

    run_virtually(experiment())


def test_results_that_are_not_kept_any_more_are_told() -> None:
    async def experiment() -> None:
        world = World()
        batch = await world.batch([line("a"), line("b")])
        async with world.working():
            await world.runner(settings=SETTINGS).run(batch)
        [job, _] = await world.jobs.find(JobQuery(limit=2))
        del world.jobs._records[job.id]
        again = msgspec.structs.replace(
            await world.now(batch), status=BatchStatus.FINALIZING, ended_at=None
        )
        world.batch_store._batches[batch.id] = again
        await world.runner("again", SETTINGS).run(again)
        batch = await world.now(batch)
        [gone] = await world.content(batch.error_file)
        assert gone["error"]["code"] == "result_expired"
        assert batch.counts == Counts(2, 1, 1)

    run_virtually(experiment())


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ([b"x" * 2_000], ["line_too_long"]),
        ([line("a")] * 4, ["duplicate_custom_id"] * 3 + ["too_many_lines"]),
        ([b"{}"] * 200, ["missing_required_parameter"] * 3),
        ([], ["empty_file"]),
    ],
)
def test_an_input_that_cannot_be_run(
    lines: list[bytes], codes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_judge, "MAX_ERRORS", 3 if len(lines) == 200 else 100)

    async def experiment() -> Batch:
        world = World(settings=GatewaySettings(max_body_bytes=1_000))
        batch = await world.batch(lines)
        settings = BatchSettings(max_lines=200 if len(lines) == 200 else 3)
        await world.runner(settings=settings).run(batch)
        assert not await world.jobs.find(JobQuery())
        return await world.now(batch)

    batch = run_virtually(experiment())
    assert batch.status is BatchStatus.FAILED
    assert [error.code for error in batch.errors] == codes


def test_an_input_that_is_gone_fails_the_batch() -> None:
    async def experiment() -> Batch:
        world = World()
        batch = await world.batch([line("a")])
        await world.file_store.remove(batch.input_file)
        await world.runner(settings=SETTINGS).run(batch)
        return await world.now(batch)

    batch = run_virtually(experiment())
    assert [error.code for error in batch.errors] == ["file_not_found"]


@pytest.mark.parametrize("ending", [False, True])
def test_an_input_that_goes_later_fails_the_batch_and_stops_its_jobs(ending: bool) -> None:
    async def experiment() -> None:
        world = World()
        batch = await world.batch([line("a"), line("b")])
        running = asyncio.create_task(world.runner(settings=SETTINGS).run(batch))
        batch = await world.until(batch, BatchStatus.IN_PROGRESS, 2)
        await world.work()
        await world.file_store.remove(batch.input_file)
        if ending:
            await world.parts.batches.cancel(batch.id, TEAM)
        else:
            await world.work()
        await running
        batch = await world.now(batch)
        assert batch.status is BatchStatus.FAILED
        assert [error.code for error in batch.errors] == ["file_not_found"]
        tally = await world.batch_lines.tally(batch.id)
        succeeded = {JobState.SUCCEEDED: 1, JobState.CANCELLED: 1}
        assert tally == (succeeded if ending else {JobState.SUCCEEDED: 2})

    run_virtually(experiment())


@pytest.mark.parametrize("status", [BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS])
def test_a_cancel_between_a_look_and_a_change_of_the_runner_is_obeyed(status: BatchStatus) -> None:
    async def experiment() -> Batch:
        world = World()
        batch = await world.batch([line("a")])
        get = world.batch_store.get

        async def late(batch_id: Any) -> Any:
            found = await get(batch_id)
            if found is not None and found.status is status:
                world.batch_store.get = get
                await world.parts.batches.cancel(batch_id, TEAM)
            return found

        world.batch_store.get = late
        # A lease that is over at once is renewed after each group.
        await world.runner(settings=BatchSettings(lease_s=0.0)).run(batch)
        return await world.now(batch)

    assert run_virtually(experiment()).status is BatchStatus.CANCELLED


def test_a_batch_for_several_models_names_none() -> None:
    async def experiment() -> Batch:
        world = World(catalogue={"default": ["model", "other"]})
        batch = await world.batch([line("a"), line("b", model="other")])
        async with world.working():
            await world.runner(settings=SETTINGS).run(batch)
        return await world.now(batch)

    batch = run_virtually(experiment())
    assert batch.model is None
    assert batch.status is BatchStatus.COMPLETED


def test_a_batch_that_is_gone_is_left_alone() -> None:
    async def experiment() -> None:
        world = World()
        batch = await world.batch([line("a")])
        runner = world.runner(settings=SETTINGS)
        del world.batch_store._batches[batch.id]
        with pytest.raises(LeaseLost):
            await runner.run(batch)

    run_virtually(experiment())
