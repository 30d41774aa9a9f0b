"""One large batch, from its upload to its output: seconds of each phase, and memory.

usage: python -m benchmarks.batches [--lines 50000] [--line-bytes 4000]

Gateway and worker are processes of their own on one SQLite file; the engine answers at once, so
what is measured is Headpond. The time of a phase is seen from outside, by asking every fifth of a
second.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp

from benchmarks.harness.errors import CannotRunError
from benchmarks.harness.machine import describe_machine
from benchmarks.harness.options import run_folder
from benchmarks.harness.paths import WORK
from benchmarks.harness.processes import (
    accepts_connections,
    free_port,
    running,
    say,
    wait_until_ready,
)

MODEL: Final = "model"
CHAT: Final = "/v1/chat/completions"
ENDED: Final = ("completed", "failed", "expired", "cancelled")
LOOK_EVERY_S: Final = 0.2
SAY_EVERY_S: Final = 10.0
READY_LIMIT_S: Final = 60.0
LIMIT_S: Final = 3_600.0
MEGABYTE: Final = 1_000_000


@dataclass(slots=True)
class Found:
    """Seconds of each phase by its name, the batch as it ended, peak memory by process."""

    seconds: dict[str, float] = field(default_factory=dict[str, float])
    batch: dict[str, Any] = field(default_factory=dict[str, Any])
    peak_bytes: dict[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class System:
    """The gateway's URL, and the processes to be looked at by name."""

    url: str
    pids: dict[str, int]


def write_input(path: Path, lines: int, line_bytes: int) -> None:
    """A file of so many requests, each of so many bytes with its line break."""
    with path.open("w") as file:
        for number in range(lines):
            file.write(request_line(f"line-{number:06}", line_bytes))


def request_line(custom_id: str, size: int) -> str:
    """A request padded to its size."""

    def line(content: str) -> str:
        body = {"model": MODEL, "messages": [{"role": "user", "content": content}]}
        request = {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}
        return json.dumps(request) + "\n"

    return line("x" * max(1, size - len(line(""))))


def peak_bytes(pid: int) -> int:
    """The most memory that the process has held at once (VmHWM of proc(5))."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise CannotRunError("this system does not tell peak memory in /proc")


@asynccontextmanager
async def started(folder: Path) -> AsyncGenerator[System]:
    """Engine, gateway and worker."""
    port, engine_port = free_port(), free_port()
    config = folder / "headpond.yaml"
    config.write_text(
        f"home: {folder / 'home'}\n"
        f"gateway: {{port: {port}}}\n"
        "pools:\n"
        "  default:\n"
        f"    engine: {{url: 'http://127.0.0.1:{engine_port}'}}\n"
        f"    models: [{MODEL}]\n"
        "    max_in_flight: 64\n"
        "log: {level: warning}\n"
    )
    python = [sys.executable, "-m"]
    engine = ["headpond.testing.engine_server", "--port", str(engine_port), "--model", MODEL]
    commands = {
        "engine": [*python, *engine],
        "gateway": [*python, "headpond", "gateway", "--config", str(config)],
        "worker": [*python, "headpond", "worker", "--config", str(config)],
    }
    ports = {"engine": engine_port, "gateway": port}
    async with AsyncExitStack() as stack:
        pids: dict[str, int] = {}
        for name, command in commands.items():
            log = folder / f"{name}.log"
            process = stack.enter_context(running(command, log))
            pids[name] = process.pid
            if name in ports:
                listens = ports[name]
                wait_until_ready(
                    process, lambda port=listens: accepts_connections(port), log, READY_LIMIT_S
                )
        yield System(f"http://127.0.0.1:{port}", pids)


async def measure(system: System, file: Path) -> Found:
    """Upload the file, make a batch of it, wait for its end, read its output."""
    found = Found()
    timeout = aiohttp.ClientTimeout(total=LIMIT_S)
    async with aiohttp.ClientSession(system.url, timeout=timeout) as session:
        began = time.monotonic()
        file_id = await upload(session, file)
        found.seconds["upload"] = time.monotonic() - began
        async for status, seconds, batch in phases(session, file_id):
            found.seconds[status] = seconds
            found.batch = batch
        if found.batch["output_file_id"] is not None:
            began = time.monotonic()
            await download(session, found.batch["output_file_id"])
            found.seconds["download"] = time.monotonic() - began
    found.peak_bytes = {name: peak_bytes(pid) for name, pid in system.pids.items()}
    return found


async def upload(session: aiohttp.ClientSession, file: Path) -> str:
    """Send the file as a stream; returns its id."""
    with file.open("rb") as content:
        form = aiohttp.FormData({"purpose": "batch"})
        form.add_field("file", content, filename=file.name)
        async with session.post("/v1/files", data=form) as response:
            return (await response.json())["id"]


async def phases(
    session: aiohttp.ClientSession, file_id: str
) -> AsyncIterator[tuple[str, float, dict[str, Any]]]:
    """Each status that the batch has left, its seconds, and the batch as it is then."""
    order = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h"}
    async with session.post("/v1/batches", json=order) as response:
        batch = await response.json()
    began = said = time.monotonic()
    while batch["status"] not in ENDED:
        status = batch["status"]
        await asyncio.sleep(LOOK_EVERY_S)
        async with session.get(f"/v1/batches/{batch['id']}") as response:
            batch = await response.json()
        now = time.monotonic()
        if now - said > SAY_EVERY_S:
            say(f"{batch['status']} {batch['request_counts']}")
            said = now
        if batch["status"] != status:
            yield status, now - began, batch
            began = now


async def download(session: aiohttp.ClientSession, file_id: str) -> None:
    """Read the file and keep nothing of it."""
    async with session.get(f"/v1/files/{file_id}/content") as response:
        async for _ in response.content.iter_chunked(1 << 18):
            pass


def report(found: Found, lines: int) -> str:
    """Everything that was measured, a line each."""
    rows = [(name, f"{seconds:,.1f} s") for name, seconds in found.seconds.items()]
    if running_s := found.seconds.get("in_progress"):
        rows.append(("running", f"{lines / running_s:,.0f} lines/s"))
    for name, size in found.peak_bytes.items():
        rows.append((f"peak memory of the {name}", f"{size / MEGABYTE:,.0f} MB"))
    rows.append(("ended as", f"{found.batch['status']} {found.batch['request_counts']}"))
    return "".join(f"{name:<28}{value}\n" for name, value in rows)


async def run(lines: int, line_bytes: int) -> None:
    """Measure once and print."""
    with run_folder(WORK) as folder:
        machine = describe_machine(folder)
        file = folder / "input.jsonl"
        write_input(file, lines, line_bytes)
        size = file.stat().st_size / MEGABYTE
        sys.stdout.write(f"batches: {lines:,} lines, {size:,.0f} MB; {machine}\n\n")
        async with started(folder) as system:
            found = await measure(system, file)
    sys.stdout.write(report(found, lines))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="benchmarks.batches", description=__doc__)
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--line-bytes", type=int, default=4_000)
    options = parser.parse_args()
    asyncio.run(run(options.lines, options.line_bytes))


if __name__ == "__main__":
    main()
