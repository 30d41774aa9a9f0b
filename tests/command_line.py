"""Runs `headpond` commands in this process."""

import os
import sys
from pathlib import Path

import msgspec
import pytest

from headpond.cli import main


class Ended(msgspec.Struct):
    """A command that ran to its end."""

    status: int
    out: str
    err: str


class Headpond:
    """Call it with a command line; its data folder is the test's own, and there is no file."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], home: Path
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._environ = {"HEADPOND_CONFIG": os.devnull, "HEADPOND_HOME": str(home)}

    def __call__(self, *arguments: str, **environ: str) -> Ended:
        """Run a command to its end."""
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["headpond", *arguments])
            for name, value in {**self._environ, **environ}.items():
                patch.setenv(name, value)
            with pytest.raises(SystemExit) as exited:
                main()
        out, err = self._capsys.readouterr()
        return Ended(int(exited.value.code or 0), out, err)
