"""Every end of a job is archived once, whatever crashes and whoever else does the same. SPEC A2."""

import asyncio
import gzip
import random
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import quote, unquote

import msgspec
import pytest
from msgspec.structs import replace
from typing_extensions import override

from headpond.adapters.memory.audit import MemoryAudit
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.objects import MemoryObjects
from headpond.adapters.rows.jsonl import JsonLines
from headpond.adapters.rows.parquet import Parquet
from headpond.domain import archive
from headpond.domain.archive import CURSOR, DAY_S, ObjectName, day_of
from headpond.domain.job import Job, JobId, JobState, Ticket, Usage
from headpond.errors import Unavailable
from headpond.ports.jobs import Bodies
from headpond.ports.objects import ObjectStore
from headpond.services.archive_check import Checked, check_day
from headpond.services.archivist import Archivist, Redact
from headpond.testing.clocks import ManualClock
from headpond.testing.records import RESPONSE, a_job, new_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import Pond, ScriptedEngine

MONDAY = 1_795_996_800.0  # 2026-11-30 00:00 UTC
SPAN_S, SETTLE_S = 300, 120.0
FORMATS = (JsonLines(), Parquet())


class CrashedError(Exception):
    """The process is gone."""


class FaultyObjects(MemoryObjects):
    """Crashes at call number `fatal`, before it does anything or after it has done it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.fatal: tuple[int, str] | None = None
        self.away = False

    def _call(self, moment: str) -> None:
        if self.away:
            raise Unavailable("away", code="archive_unavailable")
        self.calls += moment == "before"
        if self.fatal == (self.calls, moment):
            raise CrashedError

    @override
    async def put(self, name: ObjectName, data: bytes) -> None:
        self._call("before")
        await super().put(name, data)
        self._call("after")

    @override
    async def put_new(self, name: ObjectName, data: bytes) -> bool:
        self._call("before")
        done = await super().put_new(name, data)
        self._call("after")
        return done

    @override
    async def get(self, name: ObjectName) -> bytes | None:
        self._call("before")
        await asyncio.sleep(0)
        return await super().get(name)

    @override
    async def names(self, prefix: str) -> AsyncIterator[ObjectName]:
        self._call("before")
        async for name in super().names(prefix):
            yield name


class SlowObjects(MemoryObjects):
    """Stalls where it writes something new."""

    def __init__(self, stored: dict[ObjectName, bytes]) -> None:
        super().__init__()
        self.stored = stored
        self.stalled, self.awake = asyncio.Event(), asyncio.Event()

    @override
    async def put_new(self, name: ObjectName, data: bytes) -> bool:
        self.stalled.set()
        await self.awake.wait()
        return await super().put_new(name, data)


class Stage:
    def __init__(self) -> None:
        self.clock = ManualClock(MONDAY)
        self.jobs = MemoryJobStore(self.clock)
        self.audit = MemoryAudit(self.jobs)
        self.objects = FaultyObjects()

    def at(self, when: float) -> None:
        self.clock.advance(when - self.clock.now())

    def archivist(
        self,
        *,
        redact: Redact | None = None,
        keep_s: float | None = None,
        objects: ObjectStore | None = None,
        span_s: int = SPAN_S,
    ) -> Archivist:
        return Archivist(
            self.audit,
            self.jobs,
            objects or self.objects,
            FORMATS,
            redact=redact,
            span_s=span_s,
            settle_s=SETTLE_S,
            keep_s=keep_s,
            clock=self.clock,
        )

    async def ended(self, at: float, *, model_version: str | None = None, **more: object) -> Job:
        job = a_job(accepted_at=at - 5, **more).enqueued(at - 5).claimed("w", at - 4)
        await self.jobs.add(new_job(job))
        job = job.succeeded(at, engine="e", model_version=model_version, usage=Usage(3, 2))
        assert await self.jobs.swap(job, RESPONSE)
        return job

    async def check(self, day: float = MONDAY) -> Checked:
        until = await self.archivist().until()
        return await check_day(
            day, until=until, audit=self.audit, objects=self.objects, formats=FORMATS
        )

    def rows(self) -> list[dict[str, object]]:
        """Of all JSON lines."""
        return [
            msgspec.json.decode(line)
            for name in sorted(self.objects.stored)
            if name.endswith(".jsonl.gz")
            for line in gzip.decompress(self.objects.stored[name]).splitlines()
        ]


async def test_what_has_settled_is_in_the_files_of_its_team_day_and_model() -> None:
    stage = Stage()
    job = await stage.ended(MONDAY + 10, team="a/b", metadata={"order": "7"})
    await stage.ended(MONDAY + 20, team="c")
    await stage.ended(MONDAY + 310, team="c")
    stage.at(MONDAY + 419)
    assert await stage.archivist().tick() == 0
    stage.at(MONDAY + 420)
    assert await stage.archivist().tick() == 1
    assert sorted(stage.objects.stored) == [
        "cursor.json",
        "data/team=a%2Fb/day=2026-11-30/model=model/000000-0.jsonl.gz",
        "data/team=a%2Fb/day=2026-11-30/model=model/000000-0.parquet",
        "data/team=c/day=2026-11-30/model=model/000000-0.jsonl.gz",
        "data/team=c/day=2026-11-30/model=model/000000-0.parquet",
        "plans/day=2026-11-30/000000.json",
    ]
    first = stage.rows()[0]
    assert (first["id"], first["team"], first["state"]) == (job.id, "a/b", "succeeded")
    assert (first["metadata"], first["prompt_tokens"]) == ({"order": "7"}, 3)
    assert first["response"] == msgspec.json.decode(RESPONSE)
    assert await stage.archivist().until() == MONDAY + 300
    assert (await stage.check()).ends == (await stage.check()).rows == 2


async def test_names_are_cut_where_a_folder_s_would_be_too_long_and_all_are_told_apart() -> None:
    stage, short, long = Stage(), "\u968a" * 27, "\u968a" * 256
    models = [short, "a" * 249, "a" * 250, long, long + "x", "a~" * 100]
    for number, model in enumerate(models):
        await stage.ended(MONDAY + number, team=long, model=model)
    stage.at(MONDAY + 3 * DAY_S)
    await stage.archivist().tick()
    assert await stage.check() == Checked(
        day="2026-11-30", ends=6, rows=6, missing=(), doubled=(), gone=()
    )
    assert sorted(str(row["model"]) for row in stage.rows()) == sorted(models)
    folders = {name.rpartition("/")[0] for name in stage.objects.stored if "model=" in name}
    assert len(folders) == 6
    for folder in folders:
        data, team, day, model = folder.split("/")
        assert (data, day) == ("data", "day=2026-11-30")
        assert len(team) <= 255
        assert len(model) <= 255
        assert unquote(team, errors="strict").startswith("team=" + "\u968a" * 20)
        assert model.startswith("model=")
    assert {f"model={quote(short)}", f"model={'a' * 249}", f"model={'a~' * 100}"} <= {
        folder.rpartition("/")[2] for folder in folders
    }

    stage.at(MONDAY + 9 * DAY_S)
    await stage.archivist(keep_s=3 * DAY_S).tick()
    assert not [name for name in stage.objects.stored if "model=" in name]


async def test_versions_of_a_model_lie_apart_and_what_has_none_where_it_always_lay() -> None:
    stage, long = Stage(), "\u968a" * 256
    versions = ["2030-01-31", "a/b=c", "", "..", long, long + "x", None]
    for number, version in enumerate(versions):
        await stage.ended(MONDAY + number, model_version=version)
    stage.at(MONDAY + 1_000)
    await stage.archivist().tick()
    await stage.ended(MONDAY + 100, model_version="2030-01-31")  # a frozen worker woke up
    stage.at(MONDAY + 2 * DAY_S + 500)
    await stage.archivist().tick()
    checked = await stage.check()
    assert (checked.rows, checked.missing, checked.doubled) == (8, (), ())
    place = "data/team=team/day=2026-11-30/model=model/"
    names = {
        name.removeprefix(place).removesuffix(".parquet")
        for name in stage.objects.stored
        if name.endswith(".parquet")
    }
    assert len(names) == 8
    assert {
        "000000-0",
        "version-/000000-0",
        "version-../000000-0",
        "version-2030-01-31/000000-0",
        "version-2030-01-31/late-0",
        "version-a%2Fb%3Dc/000000-0",
    } < names
    assert max(len(name.partition("/")[0]) for name in names) <= 255
    assert {row["model_version"] for row in stage.rows()} == set(versions)

    stage.at(MONDAY + 9 * DAY_S)
    await stage.archivist(keep_s=3 * DAY_S).tick()
    assert not [name for name in stage.objects.stored if "model=" in name]


def test_two_versions_of_a_model_on_one_day_are_archived_apart() -> None:  # SPEC A2
    async def experiment() -> None:
        pond, objects = Pond(), MemoryObjects()
        for version in ("v1", "v2"):
            pond.settings = replace(pond.settings, model_version=version)
            async with pond.working(ScriptedEngine()):
                await pond.ended(await pond.submit())
        await asyncio.sleep(SPAN_S + SETTLE_S)
        archivist = Archivist(
            MemoryAudit(pond.jobs),
            pond.jobs,
            objects,
            FORMATS,
            redact=None,
            span_s=SPAN_S,
            settle_s=SETTLE_S,
            keep_s=None,
            clock=pond.clock,
        )
        await archivist.tick()
        names = sorted(name for name in objects.stored if name.endswith(".jsonl.gz"))
        assert [name.split("/")[3:5] for name in names] == [
            ["model=model", "version-v1"],
            ["model=model", "version-v2"],
        ]

    run_virtually(experiment())


async def test_what_an_older_release_planned_is_written_where_that_would_write_it() -> None:
    stage = Stage()
    job = await stage.ended(MONDAY + 10, model_version="v1")
    place = {"day": "2026-11-30", "team": "team", "model": "model"}
    planned = {"place": place, "name": "000000-0", "ends": [[MONDAY + 10, job.id]]}
    stage.objects.stored[ObjectName("plans/day=2026-11-30/000000.json")] = msgspec.json.encode(
        {"since": MONDAY, "until": MONDAY + SPAN_S, "objects": [planned]}
    )
    stage.at(MONDAY + 2 * DAY_S + 500)
    await stage.archivist().tick()
    names = [name for name in stage.objects.stored if name.endswith(".parquet")]
    assert names == ["data/team=team/day=2026-11-30/model=model/000000-0.parquet"]
    checked = await stage.check()
    assert (checked.rows, checked.missing, checked.doubled) == (1, (), ())


async def test_an_older_release_writes_what_is_planned_under_the_same_names() -> None:
    stage = Stage()
    for version in (None, "v1", "a/b"):
        await stage.ended(MONDAY + 10, model_version=version)
    stage.at(MONDAY + 1_000)
    await stage.archivist().tick()
    plan = msgspec.json.decode(stage.objects.stored[ObjectName("plans/day=2026-11-30/000000.json")])
    # It knows of a place's day, team and model, and of the name.
    assert {
        "data/team={team}/day={day}/model={model}/".format_map(planned["place"]) + planned["name"]
        for planned in plan["objects"]
    } == {
        name.removesuffix(".parquet") for name in stage.objects.stored if name.endswith(".parquet")
    }


async def test_where_nothing_ends_the_archive_is_up_to_date_all_the_same() -> None:
    stage = Stage()
    assert await stage.archivist().until() == await stage.archivist().checked() == 0.0
    assert await stage.archivist().tick() == 0
    stage.at(MONDAY + 5_000)
    assert await stage.archivist().tick() == 0
    assert await stage.archivist().until() == MONDAY + 4_800
    assert not [name for name in stage.objects.stored if name.startswith("data/")]


async def test_a_crash_anywhere_loses_and_doubles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "PART", 2)
    calls, number = 1, 0
    while number < calls:
        number += 1
        for moment in ("before", "after"):
            stage = Stage()
            for offset in (1, 2, 3, 299, 301, 900):
                await stage.ended(MONDAY + offset)
            stage.at(MONDAY + 2 * DAY_S + 500)
            stage.objects.fatal = (number, moment)
            try:
                await stage.archivist().tick()
            except CrashedError:
                cursor = stage.objects.stored.get(CURSOR)
                if cursor is None or msgspec.json.decode(cursor)["checked"] == MONDAY:
                    # Something more was written meanwhile, and is in no plan.
                    await stage.ended(MONDAY + 4)
            calls = max(calls, stage.objects.calls)
            stage.objects.fatal = None
            await stage.archivist().tick()
            checked = await stage.check()
            assert (checked.missing, checked.doubled, checked.gone) == ((), (), ()), number
    assert calls > 20


async def test_two_at_once_write_the_same() -> None:
    for seed in range(10):
        dice, stage = random.Random(seed), Stage()
        offsets = [dice.uniform(0, 2_000) for _ in range(50)]
        for offset in offsets:
            await stage.ended(MONDAY + offset, team=dice.choice("abc"))
        stage.at(MONDAY + 2_500)
        await asyncio.gather(*(stage.archivist().tick() for _ in range(3)))
        assert Counter(row["id"] for row in stage.rows()).total() == 50
        checked = await stage.check()
        assert (checked.rows, checked.missing, checked.doubled) == (50, (), ())


@pytest.mark.parametrize(("before_s", "after_s"), [(300, 600), (300, 420), (600, 420), (420, 300)])
async def test_windows_of_another_length_begin_where_the_last_one_ended(
    before_s: int, after_s: int
) -> None:
    stage = Stage()
    for offset in range(0, 2_000, 50):
        await stage.ended(MONDAY + offset)
    for at, span_s in ((MONDAY + 1_100, before_s), (MONDAY + 4_000, after_s)):
        stage.at(at)
        await stage.archivist(span_s=span_s).tick()
    checked = await stage.check()
    assert (checked.rows, checked.missing, checked.doubled) == (40, (), ())


async def test_a_plan_of_another_length_that_stands_says_where_the_next_begins() -> None:
    stage = Stage()
    for offset in range(0, 1_000, 50):
        await stage.ended(MONDAY + offset)
    stage.at(MONDAY + 700)
    await stage.archivist(span_s=300).tick()
    # As if it had crashed before it moved the cursor.
    stage.objects.stored[CURSOR] = b'{"until":%f,"checked":%f}' % (MONDAY, MONDAY)
    stage.at(MONDAY + 4_000)
    await stage.archivist(span_s=900).tick()
    checked = await stage.check()
    assert (checked.rows, checked.missing, checked.doubled) == (20, (), ())


async def test_those_with_other_windows_at_the_same_time_double_and_skip_nothing() -> None:
    for seed in range(20):
        dice, stage = random.Random(seed), Stage()
        for _ in range(30):
            await stage.ended(MONDAY + dice.uniform(0, 9_000), team=dice.choice("ab"))
        for at in (3_000, 10_000):
            stage.at(MONDAY + at)
            slow = SlowObjects(stage.objects.stored)
            stalled = asyncio.create_task(
                stage.archivist(objects=slow, span_s=dice.randint(60, 1_000)).tick()
            )
            await slow.stalled.wait()
            spans = [dice.randint(60, 1_000) for _ in range(3)]
            await asyncio.gather(*(stage.archivist(span_s=span_s).tick() for span_s in spans))
            slow.awake.set()
            await stalled
        checked = await stage.check()
        assert (checked.missing, checked.doubled) == ((), ()), seed
        assert checked.rows == checked.ends > 20


async def test_what_was_written_late_is_found_a_day_later() -> None:
    stage = Stage()
    await stage.ended(MONDAY + 10)
    stage.at(MONDAY + 1_000)
    await stage.archivist().tick()
    late = await stage.ended(MONDAY + 20)  # a frozen worker woke up
    assert (await stage.check()).missing == ((MONDAY + 20, late.id),)
    assert await stage.archivist().checked() == MONDAY
    stage.at(MONDAY + 2 * DAY_S + 500)
    await stage.archivist().tick()
    assert (await stage.check()).missing == ()
    names = [name for name in stage.objects.stored if "late" in name]
    assert names[0] == "plans/day=2026-11-30/late.json"
    assert len(names) == 3
    assert await stage.archivist().checked() == MONDAY + DAY_S


async def test_a_job_that_died_and_ended_again_has_two_rows() -> None:
    stage = Stage()
    dead = a_job(accepted_at=MONDAY, state=JobState.DEAD, finished_at=MONDAY + 10)
    await stage.jobs.add(new_job(dead))
    stage.at(MONDAY + 1_000)
    await stage.archivist().tick()
    again = dead.redriven(Ticket("t2")).enqueued(MONDAY + 1_000).claimed("w", MONDAY + 1_001)
    for after in (
        dead.redriven(Ticket("t2")),
        dead.redriven(Ticket("t2")).enqueued(MONDAY + 1_000),
    ):
        assert await stage.jobs.swap(after)
    assert await stage.jobs.swap(again)
    ended = again.succeeded(MONDAY + 1_010, engine="e", usage=Usage(1, 1))
    assert await stage.jobs.swap(ended, RESPONSE)
    stage.at(MONDAY + 2_000)
    await stage.archivist().tick()
    assert [row["state"] for row in stage.rows()] == ["dead", "succeeded"]
    assert (await stage.check()).gone == ((MONDAY + 10, dead.id),)


async def test_one_that_is_redriven_between_plan_and_writing_is_left_out() -> None:
    stage = Stage()
    dead = a_job(accepted_at=MONDAY, state=JobState.DEAD, finished_at=MONDAY + 10)
    await stage.jobs.add(new_job(dead))
    await stage.ended(MONDAY + 11)
    stage.at(MONDAY + 1_000)
    await stage.archivist().tick()
    for name in [name for name in stage.objects.stored if not name.startswith("plans/")]:
        del stage.objects.stored[name]
    assert await stage.jobs.swap(dead.redriven(Ticket("t2")))
    await stage.archivist().tick()
    assert [row["state"] for row in stage.rows()] == ["succeeded"]


async def test_redaction_decides_what_is_written_and_nothing_is_written_without_it() -> None:
    stage = Stage()
    await stage.ended(MONDAY + 10, team="a")
    await stage.ended(MONDAY + 11, team="secret")
    stage.at(MONDAY + 1_000)

    def broken(row: dict[str, object]) -> dict[str, object]:
        raise LookupError(row["team"])

    with pytest.raises(LookupError):
        await stage.archivist(redact=broken).tick()
    assert not [name for name in stage.objects.stored if name.startswith("data/")]

    def redact(row: dict[str, object]) -> dict[str, object] | None:
        return None if row["team"] == "secret" else {"team": row["team"], "length": "9"}

    await stage.archivist(redact=redact).tick()
    [row] = stage.rows()
    assert (row["team"], row["length"], row["finished_at"]) == ("a", "9", MONDAY + 10)
    assert "request" not in row
    assert (await stage.check()).rows == 1


async def test_a_store_that_is_away_is_asked_again() -> None:
    stage = Stage()
    await stage.ended(MONDAY + 10)
    stage.at(MONDAY + 1_000)
    stage.objects.away = True
    with pytest.raises(Unavailable):
        await stage.archivist().tick()
    stage.objects.away = False
    await stage.archivist().tick()
    assert (await stage.check()).rows == 1


async def test_days_that_were_kept_long_enough_are_removed() -> None:
    stage = Stage()
    for day in range(5):
        await stage.ended(MONDAY + day * DAY_S + 10)
    stage.at(MONDAY + 4 * DAY_S + 1_000)
    await stage.archivist(keep_s=2 * DAY_S).tick()
    days = {name.split("day=")[1][:10] for name in stage.objects.stored if "day=" in name}
    assert days == {day_of(MONDAY + day * DAY_S) for day in (2, 3, 4)}


async def test_who_is_set_back_writes_the_same_again() -> None:
    stage = Stage()
    await stage.ended(MONDAY + 10)
    stage.at(MONDAY + 1_000)
    await stage.archivist().tick()
    before = stage.objects.stored[CURSOR]
    await stage.ended(MONDAY + 20)
    stage.at(MONDAY + 2 * DAY_S + 500)
    await stage.archivist().tick()
    written = dict(stage.objects.stored)
    stage.objects.stored[CURSOR] = before
    await stage.archivist().tick()
    assert stage.objects.stored == written


async def test_what_is_archived_stands_when_its_window_is_done_again_without_bodies() -> None:
    stage = Stage()
    job = await stage.ended(MONDAY + 10)
    stage.at(MONDAY + 1_000)
    await stage.archivist().tick()
    written = dict(stage.objects.stored)
    assert await stage.jobs.erase(job.erased(MONDAY + 1_000))
    del stage.objects.stored[CURSOR]
    await stage.archivist().tick()
    assert stage.objects.stored == written


async def test_one_that_stalled_sets_nobody_back_and_overwrites_nothing() -> None:
    stage = Stage()
    job = await stage.ended(MONDAY + 10)
    stage.at(MONDAY + 1_000)
    slow = SlowObjects(stage.objects.stored)
    stalled = asyncio.create_task(stage.archivist(objects=slow).tick())
    await slow.stalled.wait()
    await stage.ended(MONDAY + DAY_S)
    stage.at(MONDAY + 3 * DAY_S)
    await stage.archivist().tick()
    assert await stage.jobs.erase(job.erased(MONDAY + 3 * DAY_S))
    written = dict(stage.objects.stored)
    slow.awake.set()
    await stalled
    assert stage.objects.stored == written


class Telling(MemoryJobStore):
    """Has bodies of so many bytes for every job, and keeps none."""

    size = 0

    @override
    async def bodies(self, job_id: JobId) -> Bodies | None:
        noise = random.Random(job_id).randbytes(self.size // 2).hex()
        return Bodies(msgspec.json.encode({"prompt": noise}), RESPONSE)


async def telling(size: int, count: int) -> Stage:
    stage = Stage()
    stage.jobs = Telling(stage.clock)
    stage.jobs.size = size
    stage.audit = MemoryAudit(stage.jobs)
    for number in range(count):
        await stage.ended(MONDAY + number / 10, team="ab"[number % 2])
    stage.at(MONDAY + 1_000)
    return stage


async def test_an_object_holds_no_more_bytes_than_can_be_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "PART_BYTES", 10_000)
    stage = await telling(3_000, 14)
    await stage.archivist().tick()
    objects = [name for name in stage.objects.stored if name.endswith(".jsonl.gz")]
    assert len(objects) == 6
    counts = [
        len(JsonLines().ends(stage.objects.stored[ObjectName(name)])) for name in sorted(objects)
    ]
    assert counts == [3, 3, 1, 3, 3, 1]
    assert (await stage.check()).rows == 14


async def test_a_row_that_is_larger_than_an_object_has_one_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archive, "PART_BYTES", 1_000)
    stage = await telling(3_000, 4)
    await stage.archivist().tick()
    assert len([name for name in stage.objects.stored if name.endswith(".jsonl.gz")]) == 4
    assert (await stage.check()).rows == 4


async def test_what_is_held_in_memory_is_one_object_whatever_a_window_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Sink(FaultyObjects):
        """Keeps what is no data."""

        @override
        async def put_new(self, name: ObjectName, data: bytes) -> bool:
            return await super().put_new(name, b"" if name.startswith("data/") else data)

    part = 1_048_576
    monkeypatch.setattr(archive, "PART_BYTES", part)
    stage = await telling(50_000, 400)
    stage.objects = Sink()
    tracemalloc.start()
    try:
        await stage.archivist().tick()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len([name for name in stage.objects.stored if name.endswith(".parquet")]) == 20
    assert peak < 6 * part


async def test_the_row_of_a_death_has_no_answer_of_a_later_life() -> None:
    stage = Stage()
    stage.jobs = Telling(stage.clock)
    stage.audit = MemoryAudit(stage.jobs)
    dead = a_job(accepted_at=MONDAY, state=JobState.DEAD, finished_at=MONDAY + 10)
    await stage.jobs.add(new_job(dead))
    stage.at(MONDAY + 1_000)
    await stage.archivist().tick()
    assert [row["response"] for row in stage.rows()] == [None]


async def test_a_file_that_goes_while_it_is_looked_at_is_missing() -> None:
    class Fleeting(MemoryObjects):
        @override
        async def get(self, name: ObjectName) -> bytes | None:
            return None

    stage = Stage()
    job = await stage.ended(MONDAY + 10)
    stage.at(MONDAY + 1_000)
    await stage.archivist().tick()
    fleeting = Fleeting()
    fleeting.stored = stage.objects.stored
    checked = await check_day(
        MONDAY, until=MONDAY + 300, audit=stage.audit, objects=fleeting, formats=FORMATS
    )
    assert [missing.job for missing in checked.missing] == [job.id]
