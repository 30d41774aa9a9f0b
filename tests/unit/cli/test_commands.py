"""Commands that need no running system, in this process."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from typer.core import TyperGroup
from typer.main import get_group

from headpond.adapters.local.clock import SystemClock
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.jobs import SqliteJobStore
from headpond.cli import command_line
from headpond.cli.keys import gateways_on
from headpond.cli.remote import client_of
from headpond.domain.job import JobId
from headpond.errors import Unauthenticated
from headpond.settings import Settings
from headpond.testing.dead_letters_suite import a_dead_job
from headpond.testing.records import new_job
from tests.command_line import Headpond


def test_keys_are_made_listed_and_revoked(headpond: Headpond) -> None:
    made = json.loads(
        headpond("keys", "create", "--team", "a", "--tokens-per-minute", "9", "--json").out
    )
    assert made["secret"].startswith("hp_")
    listed = headpond("keys", "list", "--json").out
    assert made["secret"] not in listed
    assert json.loads(listed)[0]["limits"] == {"requests_per_minute": None, "tokens_per_minute": 9}
    assert headpond("keys", "revoke", made["id"]).out == f"{made['id']} is revoked.\n"
    again = headpond("keys", "revoke", made["id"])
    assert (again.status, again.out) == (2, "")
    assert "or it is revoked already" in again.err
    assert made["id"] in headpond("keys", "list").out
    assert "hp_" in headpond("keys", "create", "--team", "b").out


def test_a_wrong_setting_is_one_line_and_status_2(headpond: Headpond, tmp_path: Path) -> None:
    file = tmp_path / "headpond.yaml"
    file.write_text("gateway:\n  prot: 1")
    done = headpond("config", "check", "--config", str(file))
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"error: {file}, line 2: there is no setting gateway.prot; did you")
    assert len(done.err.splitlines()) == 1


def test_settings_are_checked_and_shown(headpond: Headpond, tmp_path: Path) -> None:
    file = tmp_path / "headpond.yaml"
    file.write_text("pools: {default: {engine: {api_key: sk-1, url: 'http://x'}}}")
    assert headpond("config", "check", "--config", str(file)).out.startswith("The settings are ri")
    checked = headpond("config", "check", "--json", HEADPOND_CONFIG=str(file))
    assert json.loads(checked.out) == {"ok": True, "file": str(file)}
    shown = headpond("config", "show", HEADPOND_CONFIG=str(file)).out
    assert "sk-1" not in shown
    assert "HEADPOND_HOME" in shown
    lines = json.loads(headpond("config", "show", "--json").out)
    assert {"setting": "gateway.port", "value": 8080, "origin": "default"} in lines
    assert headpond("config", "reference").out.startswith("# Settings")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("archive:\n  url: ftp://x", "line 2: archive.url: 'ftp://x' cannot be used: "),
        ("archive:\n  url: 'https://[x'", "line 2: archive.url: 'https://[x' cannot be used: "),
        ("archive: {redact: 'nomod:f'}", "line 1: archive.redact: cannot load 'nomod:f': "),
        ("batches: {files: 'ftp://x'}", "line 1: batches.files: 'ftp://x' cannot be used: "),
        ("auth: {jwt: {jwks: 'http://x'}}", "line 1: auth.jwt.jwks is 'http://x'; it must be a "),
        ("pools:\n  a: {models: [m]}", "line 2: a pool with the models m needs engine.url or engi"),
        ("pools: {a: {engine: {gguf: /no}}}", "line 1: engine.gguf: cannot read /no: No such file"),
    ],
)
def test_what_a_start_would_refuse_is_found_by_the_check(
    headpond: Headpond, tmp_path: Path, text: str, told: str
) -> None:
    file = tmp_path / "headpond.yaml"
    file.write_text(text)
    done = headpond("config", "check", "--config", str(file))
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"error: {file}, {told}")


@pytest.mark.parametrize(
    ("module", "setting", "told"),
    [
        ("asyncpg", ("STORE", "postgresql://h/d"), "A store in PostgreSQL"),
        ("redis", ("QUEUE", "redis+cluster://h"), "What the settings put in Redis"),
        ("aiobotocore", ("QUEUE", "sqs://r/p"), "A queue on SQS"),
        ("kubernetes_asyncio", ("POOLS__A__FLEET", "kubernetes://n/d"), "A fleet on Kubernetes"),
        ("jwt", ("AUTH__JWT__JWKS", "https://x"), "Checking tokens of an identity provider"),
        ("xllamacpp", ("HOME", "x"), "The embedded engine"),
    ],
)
def test_an_extra_that_is_missing_is_found_by_the_check(
    headpond: Headpond,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    setting: tuple[str, str],
    told: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    variable, value = setting
    done = headpond("config", "check", **{f"HEADPOND_{variable}": value})
    assert done.status == 2
    assert f": {told} needs the extra " in done.err


def test_a_check_opens_nothing_and_tells_all_at_once(headpond: Headpond, tmp_path: Path) -> None:
    here = {
        "HEADPOND_ARCHIVE__URL": f"file://{tmp_path}/archive",
        "HEADPOND_ARCHIVE__REDACT": "builtins:dict",
        "HEADPOND_BATCHES__FILES": f"file://{tmp_path}/files",
        "HEADPOND_AUTH__JWT__JWKS": "https://idp.example/keys",
    }
    clouds = {"HEADPOND_ARCHIVE__URL": "s3://bucket/x", "HEADPOND_BATCHES__FILES": "gs://bucket/y"}
    assert headpond("config", "check", **here).status == 0
    assert headpond("config", "check", **clouds).status == 0
    assert list(tmp_path.iterdir()) == []
    wrong = {"HEADPOND_ARCHIVE__URL": "ftp://x", "HEADPOND_ARCHIVE__REDACT": "x"}
    told = headpond("config", "check", **wrong).err.splitlines()
    assert [line.split(": ")[1] for line in told] == [
        "HEADPOND_ARCHIVE__URL",
        "HEADPOND_ARCHIVE__REDACT",
    ]


def test_the_version_is_told(headpond: Headpond) -> None:
    release = headpond("version").out.strip()
    assert json.loads(headpond("version", "--json").out) == {"version": release}


def test_a_gateway_that_is_not_there_is_told(headpond: Headpond) -> None:
    done = headpond("jobs", "--url", "http://127.0.0.1:9")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("error: No gateway answers at http://127.0.0.1:9 (")
    assert done.err.endswith("). --url or HEADPOND_URL says where it is.\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "list"),
        ("keys", "revoke", "x"),
        ("audit", "list"),
        ("audit", "export"),
        ("archive", "run"),
        ("archive", "verify", "--day", "2030-01-31"),
        ("dead", "list"),
        ("dead", "redrive", "--all"),
        ("scaler", "status"),
        ("scaler", "history"),
        ("webhooks", "list", "--team", "a"),
        ("replay",),
    ],
)
def test_who_looks_into_a_store_that_is_not_there_is_told_and_makes_none(
    headpond: Headpond, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    home = tmp_path / "elsewhere"
    archive = {"HEADPOND_ARCHIVE__URL": f"file://{tmp_path}/archive"}
    done = headpond(*arguments, "--home", str(home), **archive)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"error: There is no store at {home}/headpond.db. --home or ")
    assert not home.exists()


def test_a_command_finds_the_store_in_the_home_that_it_is_given(
    headpond: Headpond, tmp_path: Path
) -> None:
    home = ("--home", str(tmp_path / "elsewhere"))
    made = json.loads(headpond("keys", "create", "--team", "a", *home, "--json").out)
    assert made["id"] in headpond("keys", "list", *home).out
    assert headpond("keys", "list").status == 2
    assert headpond("scaler", *home, "status").out.startswith("No decision was taken")
    assert str(tmp_path / "elsewhere") in headpond("config", "show", *home).out


def test_every_command_that_reads_the_settings_takes_a_home() -> None:
    def walk(group: TyperGroup) -> Iterator[tuple[str, set[str]]]:
        yield group.name or "", {parameter.name or "" for parameter in group.params}
        for command in group.commands.values():
            if isinstance(command, TyperGroup):
                yield from walk(command)
            else:
                yield command.name or "", {parameter.name or "" for parameter in command.params}

    reading = [
        (name, names) for name, names in walk(get_group(command_line())) if "config" in names
    ]
    assert len(reading) > 30
    assert [name for name, names in reading if "home" not in names] == []


def test_more_than_is_listed_is_told(headpond: Headpond, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    asyncio.run(_bury(tmp_path / "home"))
    headpond("dead", "discard", "--all")
    ids = [job["id"] for job in json.loads(headpond("audit", "list", "--json").out)]
    assert len(ids) > 1
    first = headpond("audit", "list", "--limit", "1", "--json")
    assert [job["id"] for job in json.loads(first.out)] == ids[:1]
    assert first.err == "The oldest 1; there are more: --limit, --since.\n"
    assert headpond("audit", "list", "--limit", str(len(ids))).err == ""


def test_the_audit_log_tells_versions_of_models_apart(headpond: Headpond, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    asyncio.run(_bury(tmp_path / "home", model_version="2030-01-31"))
    listed = headpond("audit", "list").out.splitlines()
    assert "version" in listed[0]
    assert "2030-01-31" in listed[1]
    exported = headpond("audit", "export").out.splitlines()
    versions = [json.loads(line)["job"]["model_version"] for line in exported]
    assert versions == ["2030-01-31"] * 3


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("missing_api_key", "This gateway wants an API key: set HEADPOND_API_KEY to it."),
        ("invalid_api_key", "No. Set HEADPOND_API_KEY to one that this gateway knows."),
    ],
)
async def test_who_sends_no_key_or_a_wrong_one_is_told_where_it_goes(code: str, words: str) -> None:
    with pytest.raises(Unauthenticated) as told:
        async with client_of("http://127.0.0.1:9"):
            raise Unauthenticated("No.", code=code)
    assert str(told.value) == words


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("sqlite:///headpond.db", "gateways whose home is data"),
        ("sqlite:////srv/headpond.db", "every gateway on the store sqlite:////srv/headpond.db"),
        ("postgresql://me:secret@db/pond", "every gateway on the store postgresql://****@db/pond"),
    ],
)
def test_a_key_opens_what_is_on_its_store(store: str, words: str) -> None:
    assert gateways_on(Settings(home="data", store=store)) == words


def test_extras_that_are_missing_are_installed_by_one_command(
    headpond: Headpond, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("asyncpg", "redis"):
        monkeypatch.setitem(sys.modules, module, None)
    url = "redis://h"
    settings = {"STORE": "postgresql://h/d", "QUEUE": url, "STREAMS": url}
    settings["POOLS__DEFAULT__ENGINE__URL"] = "http://h"
    done = headpond(
        "config", "check", **{f"HEADPOND_{name}": value for name, value in settings.items()}
    )
    *needs, command = done.err.splitlines()
    assert needs == [
        "error: HEADPOND_STORE: A store in PostgreSQL needs the extra postgres.",
        "error: HEADPOND_QUEUE: What the settings put in Redis needs the extra redis.",
        "error: HEADPOND_STREAMS: What the settings put in Redis needs the extra redis.",
    ]
    assert command == (
        "error: In the checkout of Headpond: pip install '.[postgres,redis]', or with uv: "
        "uv sync --extra postgres --extra redis"
    )


def test_an_empty_audit_log_is_listed_and_exported(headpond: Headpond, tmp_path: Path) -> None:
    headpond("keys", "create", "--team", "a")
    assert json.loads(headpond("audit", "list", "--json", "--until", "2030-01-31").out) == []
    assert headpond("audit", "list").out.startswith("ended")
    assert headpond("audit", "export").out == ""
    output = tmp_path / "audit.jsonl"
    assert "0 entries written" in headpond("audit", "export", "--output", str(output)).err
    assert output.read_text() == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("submit",), "Give either a prompt or --file."),
        (("submit", "--file", "/no/such"), "/no/such cannot be read"),
        (("submit", "x", "--resume", "r"), "--resume goes on with a --file; a prompt is one job."),
        (("jobs", "--url", "nonsense"), "'nonsense' is no URL of a gateway"),
        (("worker", "--pool", "x"), "there is no pool 'x'; there are: default."),
        (("up", "--engine", "http://x", "--model", "y"), "--engine and --model exclude each other"),
        (("keys", "list", "--config", "/no/such"), "/no/such cannot be read"),
        (("audit", "list", "--since", "soon"), "--since takes a time in ISO 8601"),
        (
            ("archive", "verify", "--day", "25.11.2026"),
            "--day takes a day, such as 2030-01-31, not",
        ),
        (("archive", "list", "--day", "2026-02-30"), "--day takes a day, such as 2030-01-31, not"),
        (("audit", "export", "--output", "/no/such/file"), "/no/such/file cannot be written"),
    ],
)
def test_a_wrong_request_is_told_with_status_2(
    headpond: Headpond, arguments: tuple[str, ...], told: str
) -> None:
    done = headpond(*arguments)
    assert (done.status, done.out) == (2, "")
    assert told in done.err


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"HEADPOND_HOME": "/proc/x"}, "home: cannot use /proc/x"),
        ({"HEADPOND_POOLS": "{a: {models: [m]}, b: {}}"}, "--pool is needed, because there are"),
        (
            {"HEADPOND_POOLS__DEFAULT__ENGINE__GGUF": "/no/such"},
            "engine.gguf: cannot read /no/such",
        ),
    ],
)
def test_a_worker_that_cannot_run_says_why(
    headpond: Headpond, environ: dict[str, str], told: str
) -> None:
    done = headpond("worker", **environ)
    assert (done.status, done.out) == (2, "")
    assert told in done.err


@pytest.mark.parametrize("process", ["up", "worker"])
def test_no_other_model_is_answered_by_the_example(headpond: Headpond, process: str) -> None:
    port = () if process == "worker" else ("--port", "0")
    done = headpond(process, *port, HEADPOND_POOLS__DEFAULT__MODELS="[product-categories, m]")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "error: a pool with the models product-categories, m needs engine.url or engine.gguf: "
        "without them it serves the example, whose model is product-categories.\n"
    )


def test_options_of_up_need_the_pool_that_they_are_about(headpond: Headpond) -> None:
    done = headpond("up", "--engine", "http://x", HEADPOND_POOLS="{a: {models: [m]}}")
    assert (done.status, done.out) == (2, "")
    assert "need a pool named 'default'; there is none." in done.err


def test_dead_letters_are_grouped_redriven_discarded_and_exported(
    headpond: Headpond, tmp_path: Path
) -> None:  # SPEC Q5
    (tmp_path / "home").mkdir()
    ids = asyncio.run(_bury(tmp_path / "home"))

    [group] = json.loads(headpond("dead", "group", "--json").out)
    cause = group["cause"]["id"]
    assert group["count"] == 3
    assert cause in headpond("dead", "group", "--team", "team").out
    assert ids[0] in headpond("dead", "list", "--group", cause, "--limit", "1").out
    assert len(json.loads(headpond("dead", "list", "--json").out)) == 3
    assert "hello" in headpond("dead", "show", ids[0]).out
    assert json.loads(headpond("dead", "show", ids[0], "--json").out)["id"] == ids[0]

    assert headpond("dead", "redrive").status == 2
    dry = headpond("dead", "redrive", "--group", cause, "--dry-run")
    assert dry.out == "3 of 3 would be redriven.\n"
    assert headpond("dead", "redrive", ids[0]).out == "1 of 1 redriven.\n"

    file = tmp_path / "cases.jsonl"
    assert "2 cases" in headpond("dead", "export", "--output", str(file)).err
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == ids[1:]
    assert headpond("dead", "export", "--output", str(tmp_path)).status == 2
    assert json.loads(headpond("dead", "discard", "--all", "--json").out)["done"] == 2
    assert headpond("dead", "list", "--json").out == "[]\n"
    assert headpond("dead", "show", ids[1]).status == 2


async def _bury(home: Path, *, model_version: str | None = None) -> list[JobId]:
    dead = [a_dead_job(1_000_000.0 + number) for number in range(3)]
    jobs = [replace(job, model_version=model_version) for job in dead]
    database = Database(home / "headpond.db")
    database.open()
    store = SqliteJobStore(database, SystemClock())
    for job in jobs:
        await store.add(new_job(job))
    await database.close()
    return [job.id for job in jobs]


def test_the_first_key_says_what_becomes_of_work_without_one(headpond: Headpond) -> None:
    first = headpond("keys", "create", "--team", "a")
    assert first.out.startswith("hp_")
    assert "stays with the team `local`" in first.out + first.err
    second = headpond("keys", "create", "--team", "a")
    assert "`local`" not in second.out + second.err


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--port", "99999", "--port takes a whole number from 0 to 65535, not 99999."),
        ("--engine", "foo", "--engine: it must begin with http:// or https://"),
    ],
)
def test_a_wrong_option_is_told_of_by_its_own_name(
    headpond: Headpond, option: str, value: str, says: str
) -> None:
    refused = headpond("up", option, value)
    assert refused.status == 2
    assert says in refused.err
    assert "HEADPOND_" not in refused.err
