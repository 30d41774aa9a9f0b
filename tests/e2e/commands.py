"""Runs `headpond` commands as real processes, with nothing of the user's around them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

PATIENCE_S = 45


class Ended(msgspec.Struct):
    """A command that ran to its end."""

    status: int
    out: str
    err: str


class Ready(msgspec.Struct):
    """What `headpond up --json` says once it is up."""

    url: str
    models: list[str]


@dataclass
class Up:
    """A system that is up."""

    process: "subprocess.Popen[str]"
    url: str
    models: list[str]
    home: Path

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def headpond(self, *arguments: str, **environ: str) -> Ended:
        """Run a command against it."""
        return headpond(*arguments, HEADPOND_URL=self.url, HEADPOND_HOME=str(self.home), **environ)


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without Headpond's variables and without a settings file."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("HEADPOND")}
    return {**others, "HEADPOND_CONFIG": os.devnull, **more}


def headpond(*arguments: str, stdin: str = "", **environ: str) -> Ended:
    """Run a command to its end."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "headpond", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        env=environment(environ),
        timeout=PATIENCE_S,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def up(home: Path, *options: str, **environ: str) -> Iterator[Up]:
    """`headpond up` on a free port; killed at the end if it is still there."""
    command = [sys.executable, "-m", "headpond", "up", "--json", "--port", "0"]
    with subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--home", str(home), *options],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(environ),
    ) as process:
        try:
            assert process.stdout is not None
            ready = msgspec.json.decode(process.stdout.readline(), type=Ready)
            yield Up(process, ready.url, ready.models, home)
        finally:
            process.kill()
