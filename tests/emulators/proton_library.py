"""Proton, which speaks AMQP for the emulator of Service Bus.

It comes as source alone, so whoever has no C compiler goes without. It is looked for in the
environment, then in `.cache/proton`; where CI is set and there is a compiler, it is built there.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / ".cache" / "proton"
INSTALL = ("uv", "pip", "install", "--target", str(FOLDER), "python-qpid-proton==0.40.0")


def find_proton() -> None:
    """Have it, or skip; fails where it should be had."""
    if not _there():
        if "CI" in os.environ and shutil.which("cc") is not None:
            pytest.fail(f"not built: {' '.join(INSTALL)}")
        pytest.skip(f"Azure Service Bus is untested: {' '.join(INSTALL)}")


def build_proton(*, wanted: bool) -> None:
    """Once for all processes of the tests, before they begin: it takes a minute."""
    if wanted and not _there() and shutil.which("cc"):
        subprocess.run(INSTALL, check=True, timeout=600)  # noqa: S603 - our own command


def _there() -> bool:
    if FOLDER.exists() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
    return importlib.util.find_spec("proton") is not None
