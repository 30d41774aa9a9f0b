"""The documents know everything that there is, and nothing that there is not."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperGroup

from headpond import errors
from headpond.cli import app
from headpond.domain.job import JobState

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.glob("*.md"), *REPOSITORY.glob("decisions/*.md")])


def commands(group: TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command by the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


ROOT = typer.main.get_group(app)
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


def test_the_state_machine_is_drawn_with_every_state() -> None:
    page = (DOCS / "state-machine.md").read_text()
    drawn = set(re.findall(r"\w+", page.split("```mermaid")[1].split("```")[0]))
    assert set(JobState) <= drawn


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_on_a_page_exist(page: Path) -> None:
    for line in re.findall(r"`(?:uv run )?headpond ([a-z][^`]*)`", page.read_text()):
        words = [word for word in line.split() if re.fullmatch(r"[a-z]+", word)]
        known = any(" ".join(words[:length]) in COMMANDS for length in (1, 2))
        groups = {command.split()[0] for command in COMMANDS}
        assert known or words[0] in groups, f"{page.name}: headpond {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_targets_of_make_that_pages_name_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z-]+)`", page.read_text())) <= targets, page.name


def test_the_examples_of_settings_are_yaml() -> None:
    for page in PAGES:
        for example in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
            assert isinstance(yaml.safe_load(example), dict), page.name
