"""The rules of the house: every tool that judges the code is content."""

import os
import subprocess
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
