"""Runs the embedded engine as a child process and keeps it running.

The worker never shares a process with the engine: computing would starve its event loop, and a
crash in native code would take its leases along. If the worker dies, the child notices (see
`serve`) and ends too; if the child dies, `watch` starts it again, on the same port.
"""

import asyncio
import importlib.util
import logging
import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
from typing_extensions import override

from headpond.adapters.llamacpp.serve import ServePlan
from headpond.errors import MissingExtra, SettingsError
from headpond.ports.engine import EngineServer

log = logging.getLogger(__name__)

GGUF_MAGIC = b"GGUF"
FIRST_RESTART_DELAY_S = 0.5
MAX_RESTART_DELAY_S = 30.0
STABLE_AFTER_S = 60.0
STOP_TIMEOUT_S = 5.0


def default_threads() -> int:
    """Half of the cores that this process may use, at least 1.

    llama.cpp's threads spin while they wait for each other, so each needs a core to itself: on
    2 cores that were busy otherwise too, 2 threads answered 12-33 requests/s and 1 thread 150-320
    (a model of 2.8 M parameters, 16 requests in flight).
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, cores // 2)


class LlamaCppServer(EngineServer):
    """Serves the GGUF file at `model` on a loopback port of its own, under the names `aliases`.

    `slots` is how many requests run at once, each with `context_tokens` of room; `max_connections`
    how many clients may be connected, idle ones included. The default of 16 slots matches what a
    pool keeps in flight; on 2 cores, 4 to 32 slots made no difference beyond the noise.
    """

    def __init__(
        self,
        model: Path,
        *,
        aliases: Sequence[str] = (),
        context_tokens: int = 512,
        slots: int = 16,
        threads: int | None = None,
        max_connections: int = 64,
    ) -> None:
        self._model = model
        self._port_holder = _hold_free_port()
        self._plan = ServePlan(
            model=str(model),
            port=self._port_holder.getsockname()[1],
            aliases=tuple(aliases),
            context_tokens=context_tokens,
            slots=slots,
            threads=threads or default_threads(),
            connections=max_connections,
        )
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """Where the engine listens, the same through all restarts."""
        return f"http://127.0.0.1:{self._plan.port}"

    @override
    async def start(self) -> None:
        """Raises MissingExtra without xllamacpp, SettingsError when the file is no model."""
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra("llamacpp", "The embedded engine")
        check_gguf(self._model)
        await self._spawn()

    @override
    async def watch(self) -> None:
        delay_s = 0.0
        while (process := self._process) is not None:
            began = asyncio.get_running_loop().time()
            status = await process.wait()
            if self._process is not process:  # stopped on purpose
                return
            delay_s = restart_delay_s(delay_s, asyncio.get_running_loop().time() - began)
            log.error("embedded engine ended (status %s), restart in %g s", status, delay_s)
            await asyncio.sleep(delay_s)
            try:
                await self._spawn()
            except OSError:
                # Out of memory or of processes, say: as if it had ended again, later still.
                log.exception("the embedded engine could not be started")

    @override
    async def stop(self) -> None:
        self._port_holder.close()
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _spawn(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # no module in the working directory may stand in for a real one
            "-m",
            "headpond.adapters.llamacpp.serve",
            msgspec.json.encode(self._plan).decode(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            # Out of reach of the terminal's Ctrl-C: the worker finishes its requests first.
            start_new_session=True,
        )


def restart_delay_s(last_delay_s: float, lived_s: float) -> float:
    """Twice as long as last time, up to a bound; short again once the engine lived for a while."""
    if lived_s >= STABLE_AFTER_S:
        return FIRST_RESTART_DELAY_S
    return min(max(FIRST_RESTART_DELAY_S, last_delay_s * 2), MAX_RESTART_DELAY_S)


def check_gguf(path: Path) -> None:
    """Raises SettingsError unless the file is there, readable and looks like a model."""
    try:
        with path.open("rb") as file:
            magic = file.read(len(GGUF_MAGIC))
    except OSError as error:
        message = f"engine.gguf: cannot read {path}: {error.strerror}. Give the path of a GGUF file"
        raise SettingsError(message) from error
    if magic != GGUF_MAGIC:
        raise SettingsError(
            f"engine.gguf: {path} is not a GGUF file. Convert the model with llama.cpp's "
            "convert_hf_to_gguf.py, or serve it with vLLM and set engine.url"
        )


def _hold_free_port() -> socket.socket:
    """A socket that is bound but does not listen: nobody else is given its port.

    The child binds the port a second time, which SO_REUSEPORT allows; connections go to the
    socket that listens.
    """
    holder = socket.socket()
    if sys.platform != "win32":
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    holder.bind(("127.0.0.1", 0))
    return holder
