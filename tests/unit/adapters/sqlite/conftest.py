"""An open database, and a second process that works on the same file."""

import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path

import pytest

from headpond.adapters.sqlite.database import Database

Script = Callable[[str], "subprocess.Popen[str]"]

PREAMBLE = """
import asyncio, sqlite3, sys
from pathlib import Path
from headpond.adapters.sqlite import records
from headpond.adapters.sqlite.database import Database
from headpond.testing.records import a_job, new_job

path = Path(sys.argv[1])
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "headpond.db"


@pytest.fixture
async def database(path: Path) -> AsyncGenerator[Database]:
    opened = Database(path)
    opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def process(path: Path) -> Generator[Script]:
    """Run a script with `path` in a process of its own; it can print and read lines."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str) -> "subprocess.Popen[str]":
        child = subprocess.Popen(  # noqa: S603 - our own interpreter, our own script
            [sys.executable, "-c", PREAMBLE + script, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()
