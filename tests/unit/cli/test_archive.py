"""The archive from the command line, over a store and a folder."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from headpond.domain.archive import DAY_S, day_of
from headpond.domain.job import JobState
from headpond.errors import SettingsError
from headpond.settings import ArchiveSettings, Settings
from headpond.testing.records import a_job, new_job
from headpond.wiring.archives import archivist_of
from headpond.wiring.gateways import open_gateway
from headpond.wiring.stores import open_store
from tests.command_line import Headpond
from tests.emulators.moto_server import moto_server

YESTERDAY = time.time() // DAY_S * DAY_S - DAY_S


async def _work_was_done(home: Path) -> None:
    async with open_store(Settings(home=str(home))) as store:
        for number in range(3):
            at = YESTERDAY + 400 * number
            job = a_job(accepted_at=at, state=JobState.SUCCEEDED, finished_at=at)
            await store.jobs.add(new_job(job))


def test_what_ended_is_archived_listed_and_verified(headpond: Headpond, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    asyncio.run(_work_was_done(tmp_path / "home"))
    environ = {"HEADPOND_ARCHIVE__URL": f"file://{tmp_path}/archive"}
    day = day_of(YESTERDAY)
    nothing = headpond("archive", "verify", "--day", day, **environ)
    assert nothing.status == 0
    assert nothing.out.startswith(f"{day}: 0 ends in the audit log, 0 rows; 0 missing")
    assert headpond("archive", "run", **environ).out.startswith(
        "3 windows written; archived until "
    )
    assert json.loads(headpond("archive", "run", "--json", **environ).out)["windows"] == 0
    names = json.loads(headpond("archive", "list", "--day", day, "--json", **environ).out)
    assert len(names) == 6
    assert names[0] == f"data/team=team/day={day}/model=model/000000-0.jsonl.gz"
    assert headpond("archive", "list", "--day", "2000-01-01", **environ).out.split() == ["file"]
    checked = json.loads(headpond("archive", "verify", "--day", day, "--json", **environ).out)
    assert (checked["ends"], checked["rows"], checked["missing"]) == (3, 3, [])
    (tmp_path / "archive" / names[0]).unlink()
    broken = headpond("archive", "verify", "--day", day, **environ)
    assert broken.status == 1
    assert "3 ends in the audit log, 2 rows; 1 missing, 0 doubled, 0 of deaths that" in broken.out


def test_without_an_archive_there_is_nothing_to_do(headpond: Headpond) -> None:
    headpond("keys", "create", "--team", "a")
    for arguments in (("run",), ("list",), ("verify", "--day", "2030-01-31")):
        told = headpond("archive", *arguments)
        assert (told.status, told.out) == (2, "")
        assert told.err == "error: There is no archive: set archive.url.\n"


async def test_a_gateway_archives_by_itself(tmp_path: Path) -> None:
    archive = ArchiveSettings(
        url=f"file://{tmp_path}/archive", formats=("jsonl",), redact="builtins:dict"
    )
    (tmp_path / "home").mkdir()
    await _work_was_done(tmp_path / "home")
    async with open_gateway(Settings(home=str(tmp_path / "home"), archive=archive)):
        while not (tmp_path / "archive" / "data").exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("no_such_module:x", "cannot load 'no_such_module:x': No module"),
        ("math:no_such", "cannot load 'math:no_such': module 'math' has no attribute"),
        ("math", "cannot load 'math'"),
        ("math:pi", "'math:pi' is no function"),
    ],
)
async def test_redaction_that_cannot_be_loaded_is_told(
    tmp_path: Path, path: str, words: str
) -> None:
    archive = ArchiveSettings(url=f"file://{tmp_path}/archive", redact=path)
    settings = Settings(home=str(tmp_path), archive=archive)
    async with open_store(settings) as store:
        with pytest.raises(SettingsError, match=words):
            await archivist_of(settings, store)


@pytest.mark.parametrize(
    ("setting", "commands"),
    [
        ("archive.url", [("archive", "run"), ("archive", "list"), ("gateway",)]),
        ("batches.files", [("keys", "list"), ("gateway",), ("worker",)]),
    ],
)
def test_a_bucket_that_does_not_exist_is_told_before_anything_begins(
    headpond: Headpond, tmp_path: Path, setting: str, commands: list[tuple[str, ...]]
) -> None:
    headpond("keys", "create", "--team", "a")
    section, name = setting.split(".")
    with moto_server() as moto:
        file = tmp_path / "headpond.yaml"
        options = {"aws_endpoint": moto.url, "aws_region": "eu-central-1"}
        file.write_text(json.dumps({section: {name: "s3://nowhere/x", "options": options}}))
        assert headpond("config", "check", "--config", str(file)).status == 0
        for command in commands:
            told = headpond(*command, "--config", str(file))
            words = (
                f"error: {setting}: bucket 'nowhere' does not exist; make it, or name another one."
            )
            assert (told.status, told.err) == (2, f"{words}\n")


def test_an_option_that_does_not_exist_is_told_where_it_stands(
    headpond: Headpond, tmp_path: Path
) -> None:
    file = tmp_path / "headpond.yaml"
    file.write_text("archive:\n  url: s3://pond/x\n  options:\n    aws_endpint: http://x\n")
    told = headpond("config", "check", "--config", str(file))
    assert told.status == 2
    assert told.err == (
        f"error: {file}, line 4: archive.options: there is no option 'aws_endpint' of S3; "
        "did you mean 'aws_endpoint'?\n"
    )
