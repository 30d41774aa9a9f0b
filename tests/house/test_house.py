"""The rules of the house: every tool that judges the code is content."""

import ast
import importlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

TOOLS = {
    "style": "ruff check",
    "format": "ruff format --check",
    "imports": "lint-imports",
    "types": "basedpyright",
    "spelling": "codespell",
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("command", TOOLS.values(), ids=TOOLS)
def test_a_tool_has_nothing_to_say(command: str) -> None:
    quiet = {name: value for name, value in os.environ.items() if name != "FORCE_COLOR"}
    done = subprocess.run(  # noqa: S603 - our own command
        command.split(), cwd=REPOSITORY, env=quiet, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_benchmarks_and_examples_import_of_headpond_is_there() -> None:
    missing = [
        f"{path.relative_to(REPOSITORY)}: {module}.{name}"
        for folder in ("benchmarks", "examples", "tools")
        for path in (REPOSITORY / folder).rglob("*.py")
        if ".work" not in path.parts
        for module, name in _imported(path)
        if not _is_there(module, name)
    ]
    assert not missing


def _imported(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "headpond":
            yield from ((str(node.module), alias.name) for alias in node.names)


def _is_there(module: str, name: str) -> bool:
    try:
        found = importlib.import_module(module)
        return hasattr(found, name) or bool(importlib.import_module(f"{module}.{name}"))
    except ImportError:
        return False
