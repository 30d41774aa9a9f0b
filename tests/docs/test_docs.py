"""The documents know everything that there is, and nothing that there is not."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
import typer
import yaml
from tools.queue_powers import QUEUES, written
from typer.core import TyperGroup

from headpond import errors
from headpond.cli import command_line
from headpond.configuration import load
from headpond.configuration.rules import STORES
from headpond.domain.job import JobState
from headpond.gateway.job_stream import EventName
from headpond.gateway.response_event_schema import AnyEvent
from headpond.ports.queue import MessageLookup, Power, Queue
from headpond.settings import Settings
from headpond.wiring.stores import Store

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
FOLDERS = (".", "docs", "decisions", "benchmarks", "examples/*", "examples/*/*")
PAGES = sorted(page for folder in FOLDERS for page in REPOSITORY.glob(f"{folder}/*.md"))


def name_of(page: Path) -> str:
    """The page as a test's id and in messages."""
    return str(page.relative_to(REPOSITORY))


def commands(group: TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command by the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


ROOT = typer.main.get_group(command_line())
COMMANDS = sorted(" ".join(words) for words in commands(ROOT))


def test_every_command_has_its_heading_and_every_heading_its_command() -> None:
    headings = re.findall(r"^### headpond (.+)$", (DOCS / "cli.md").read_text(), re.MULTILINE)
    assert sorted(headings) == COMMANDS


def test_every_error_has_its_heading_and_every_heading_its_error() -> None:
    kinds = [
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    ]
    headings = re.findall(r"^## (\w+)", (DOCS / "errors.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(kinds)


def test_every_code_is_in_the_table_and_every_code_of_the_table_is_one() -> None:
    page = (DOCS / "errors.md").read_text()
    documented = re.findall(r"^\| `(\w+)` \| \d{3} \|", page, re.MULTILINE)
    source = {path: path.read_text() for path in (REPOSITORY / "src" / "headpond").rglob("*.py")}
    told = {
        code
        for path, text in source.items()
        if {"gateway", "services"} & set(path.parts)
        for code in re.findall(r'code="(\w+)"', text)
    }
    assert told <= set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert len(documented) == len(set(documented))
    everything = "".join(source.values())
    assert [code for code in documented if f'"{code}"' not in everything] == []


def test_every_event_of_a_stream_is_in_its_table() -> None:
    page = (DOCS / "streams.md").read_text()
    documented = re.findall(r"^\| `([a-z_.]+)` \|", page, re.MULTILINE)
    events = [event.__struct_config__.tag for event in get_args(AnyEvent)]
    errors = ["stream_restarted", "not_done_in_time"]
    assert sorted(documented) == sorted([*get_args(EventName), *events, *errors])


def test_the_state_machine_is_drawn_with_every_state() -> None:
    page = (DOCS / "state-machine.md").read_text()
    drawn = set(re.findall(r"\w+", page.split("```mermaid")[1].split("```")[0]))
    assert set(JobState) <= drawn


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_on_a_page_exist(page: Path) -> None:
    for line in lines_of(page.read_text()):
        assert exists(line), f"{name_of(page)}: headpond {line}"


def lines_of(text: str) -> list[str]:
    """The command lines in the text, in code of either kind, without `headpond`."""
    begins = r"(?:^|`|&& )(?:uv run )?headpond ([a-z][^`\n]*)"
    return re.findall(begins, text, re.MULTILINE)


def exists(line: str) -> bool:
    """Whether it begins with a command, or is a group of commands and nothing else."""
    words = line.split()
    groups = {command.split()[0] for command in COMMANDS if " " in command}
    return (len(words) == 1 and words[0] in groups) or any(
        " ".join(words[:length]) in COMMANDS for length in (1, 2)
    )


def test_a_command_that_does_not_exist_is_noticed() -> None:
    text = "`headpond keys mint --team x` and `headpond keys`\n\nuv run headpond upp\n"
    assert [line for line in lines_of(text) if not exists(line)] == ["keys mint --team x", "upp"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{name_of(page)}: {target}"


def test_the_targets_of_make_that_pages_name_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z-]+)`", page.read_text())) <= targets, name_of(page)


def test_the_examples_of_settings_are_yaml() -> None:
    for page in PAGES:
        for example in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
            assert isinstance(yaml.safe_load(example), dict), name_of(page)


def test_the_example_of_a_fleet_on_kubernetes_gives_its_workers_the_time_to_drain(
    tmp_path: Path,
) -> None:
    manifest = (REPOSITORY / "examples/kubernetes/workers.yaml").read_text()
    config, deployment = yaml.safe_load_all(manifest)
    file = tmp_path / "headpond.yaml"
    file.write_text(config["data"]["headpond.yaml"])
    settings = load({"DATABASE_PASSWORD": "k"}, str(file)).settings
    template = deployment["spec"]["template"]
    drain_s = max(settings.worker.drain_s, Settings().worker.drain_s)
    assert template["spec"]["terminationGracePeriodSeconds"] > drain_s
    labels = deployment["spec"]["selector"]["matchLabels"]
    assert labels.items() <= template["metadata"]["labels"].items()
    place = "/".join(deployment["metadata"][part] for part in ("namespace", "name"))
    assert settings.pools["default"].fleet == f"kubernetes://{place}"
    (worker,) = template["spec"]["containers"]
    assert exists(" ".join(worker["args"][1:]))
    assert worker["readinessProbe"]["httpGet"]["port"] == settings.worker.metrics_port
    assert drain_s <= ordinary_engine_sleeps_s() < template["spec"]["terminationGracePeriodSeconds"]


def ordinary_engine_sleeps_s() -> float:
    """What docs/scaling.md has an engine wait that is stopped together with its worker."""
    (command,) = re.findall(
        r"preStop: \{exec: \{command: \[sleep, \"(\d+)\"\]", (DOCS / "scaling.md").read_text()
    )
    return float(command)


def test_what_the_queues_can_do_is_what_they_say_of_themselves() -> None:
    page = (DOCS / "backends.md").read_text()
    assert written(page) == page, "run `make docs`"


@pytest.mark.parametrize("queue", QUEUES.values(), ids=QUEUES)
def test_a_queue_that_can_be_asked_for_messages_says_so(queue: type[Queue]) -> None:
    assert (Power.LOOKUP in queue.lacks) == (MessageLookup not in queue.__mro__)


def test_every_store_and_every_port_of_one_has_its_place_among_the_backends() -> None:
    page = (DOCS / "backends.md").read_text()
    stores = [form.partition(":")[0] for form in STORES]
    assert set(stores) <= set(re.findall(r"^## (\w+)", page, re.MULTILINE))
    assert re.findall(r"^\| port \| (.+) \|$", page, re.MULTILINE) == [" | ".join(stores)]
    rows = re.findall(r"^\| (\w+) \| (`\w+/\w+\.py`.*) \|$", page, re.MULTILINE)
    assert {port for port, _ in rows} == {field.name for field in fields(Store)} - {
        "clock",
        "lookup",
        "set_aside",
        "unseen_s",
        "body_bytes",
        "leftovers",
    }
    for port, cells in rows:
        modules = re.findall(r"`(\w+/\w+\.py)`", cells)
        assert len(modules) == len(STORES), port
        for module in modules:
            source = REPOSITORY / "src/headpond"
            assert (source / "adapters" / module).exists() or (source / module).exists(), module


def test_every_suite_and_all_histories_stand_in_the_guide_for_a_backend() -> None:
    page = (REPOSITORY / "CONTRIBUTING.md").read_text()
    section = page.split("### What a backend must pass")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    shipped = (REPOSITORY / "src/headpond/testing").glob("*_*.py")
    ends = ("_suite", "_histories")
    assert set(re.findall(r"`(\w+_(?:suite|histories))`", "".join(rows))) == {
        module.stem for module in shipped if module.stem.endswith(ends)
    }


def test_the_example_of_the_guide_for_a_backend_runs_elsewhere(tmp_path: Path) -> None:
    page = (REPOSITORY / "CONTRIBUTING.md").read_text()
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "test_mine.py").write_text(example)
    (tmp_path / "pytest.ini").write_text("[pytest]\nanyio_mode = auto\n")
    done = subprocess.run(
        (sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
