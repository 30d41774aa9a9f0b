"""A child process that is kept running."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum

log = logging.getLogger(__name__)

FIRST_RESTART_DELAY_S = 0.5
MAX_RESTART_DELAY_S = 30.0
STABLE_AFTER_S = 60.0


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    FAILED = 1
    REFUSED = 2
    """The settings or the request are wrong: trying again changes nothing."""


class Child:
    """`python -m headpond ARGUMENTS`; its standard input ends when it should.

    It has a session of its own, out of reach of the terminal's Ctrl-C: the supervisor decides who
    stops when. Without `own_session` it is in that of its parent, and is killed with it.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        environ: Mapping[str, str],
        file_descriptors: Sequence[int] = (),
        own_session: bool = True,
    ) -> None:
        self.name = name
        self._arguments = arguments
        self._environ = environ
        self._file_descriptors = file_descriptors
        self._own_session = own_session
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process's id, None while there is none."""
        return None if self._process is None else self._process.pid

    async def keep(self) -> None:
        """Start, and start again after each death, later each time; return when it refuses to run.

        Returns too when it was told to stop. A child that lived for a while begins with short
        delays again.
        """
        loop = asyncio.get_running_loop()
        delay_s = FIRST_RESTART_DELAY_S
        while not self._stopping:
            began = loop.time()
            status = await self.run()
            if self._stopping or status == Exit.REFUSED:
                return
            if loop.time() - began >= STABLE_AFTER_S:
                delay_s = FIRST_RESTART_DELAY_S
            log.error("%s ended (status %s), restart in %g s", self.name, status, delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, MAX_RESTART_DELAY_S)

    async def run(self) -> int | str:
        """Start it once. Returns how it ended, or why it could not be started."""
        try:
            self._process = await self._spawn()
        except OSError as error:  # out of memory or of processes, say
            return str(error)
        if self._stopping and self._process.stdin is not None:
            self._process.stdin.close()
        return await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end and wait until it has. Works twice, and before start."""
        self._stopping = True
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            await self._process.wait()

    def urge(self) -> None:
        """Tell it, once it was asked to end, to do so at once."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    def kill(self) -> None:
        """End it at once, with the processes that it started in its session."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _spawn(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # no module in the working directory may stand in for a real one
            "-m",
            "headpond",
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            env=self._environ,
            pass_fds=self._file_descriptors,
            start_new_session=self._own_session,
        )
