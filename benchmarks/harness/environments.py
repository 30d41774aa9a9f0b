"""Virtual environments made on demand, one for each requirements file.

The harness itself needs only the standard library and `uv`.  Peers live in environments of their
own because their clients disagree: arq wants redis-py below 6, SAQ below 8, taskiq-redis 8.
"""

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.errors import CannotRunError
from benchmarks.harness.paths import BENCHMARKS, PROJECT, WORK
from benchmarks.harness.processes import say, tail

PYTHON_VERSION = "3.11"


@dataclass(frozen=True, slots=True)
class Environment:
    """A requirements file beside this package, and the environment that it fills."""

    name: str
    requirements: str

    @property
    def folder(self) -> Path:
        """The folder of this environment: a changed requirement or project makes a new one."""
        text = (BENCHMARKS / self.requirements).read_bytes()
        project = PROJECT / "pyproject.toml"
        if b"-e ." in text and project.exists():
            text += project.read_bytes()
        return WORK / "environments" / f"{self.name}-{hashlib.sha256(text).hexdigest()[:10]}"

    def python(self) -> Path:
        """Return the interpreter, making the environment first where it is missing."""
        python = self.folder / "bin" / "python"
        complete = self.folder / "complete"
        if not complete.exists():
            say(f"making environment {self.name} from {self.requirements}")
            _uv("venv", "--clear", "--python", PYTHON_VERSION, str(self.folder))
            _uv(
                "pip", "install", "--python", str(python), "-r", str(BENCHMARKS / self.requirements)
            )
            complete.touch()
        return python


def _uv(*arguments: str) -> None:
    uv = shutil.which("uv")
    if uv is None:
        message = "uv is not on the path; it makes the environments of the peers"
        raise CannotRunError(message)
    done = subprocess.run(  # noqa: S603 - the arguments are the harness's own
        [uv, "--quiet", *arguments], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        message = f"uv {arguments[0]} failed: {tail(done.stderr)}"
        raise CannotRunError(message)


MAIN = Environment("main", "requirements.txt")
ARQ = Environment("arq", "requirements-arq.txt")
SAQ = Environment("saq", "requirements-saq.txt")
LITELLM = Environment("litellm", "requirements-litellm.txt")
HEADPOND = Environment("headpond", "requirements-headpond.txt")
