"""Runs `headpond` commands as real processes, with nothing of the user's around them."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

PIPE = asyncio.subprocess.PIPE


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

    process: asyncio.subprocess.Process
    ready: Ready

    @property
    def url(self) -> str:
        """Where its gateway is."""
        return self.ready.url

    async def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; returns the exit status."""
        self.process.send_signal(number)
        return await self.process.wait()


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment of these tests without Headpond's variables and without a settings file."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("HEADPOND")}
    return {**others, "HEADPOND_CONFIG": os.devnull, **more}


async def headpond(*arguments: str, **environ: str) -> Ended:
    """Run a command to its end."""
    process = await _start(*arguments, environ=environ, stderr=PIPE)
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


@asynccontextmanager
async def up(home: Path, *options: str, **environ: str) -> AsyncGenerator[Up]:
    """`headpond up` on a free port; killed at the end if it is still there."""
    arguments = ("up", "--json", "--port", "0", "--home", str(home), *options)
    process = await _start(*arguments, environ=environ)
    try:
        assert process.stdout is not None
        yield Up(process, msgspec.json.decode(await process.stdout.readline(), type=Ready))
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _start(
    *arguments: str, environ: Mapping[str, str], stderr: int | None = None
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "headpond",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=PIPE,
        stderr=stderr,
        env=environment(environ),
    )
