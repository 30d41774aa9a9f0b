"""What all tests share."""

from pathlib import Path

import pytest

from tests.command_line import Headpond


@pytest.fixture
def anyio_backend() -> str:
    """The product runs on asyncio."""
    return "asyncio"


@pytest.fixture
def headpond(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Headpond:
    """The command line, in this process."""
    return Headpond(monkeypatch, capsys, tmp_path / "home")
