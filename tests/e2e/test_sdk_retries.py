"""The official client repeats a request by itself; it stays one job. SPEC G7, B14.

Two gateway processes work on one store. The network between them and the client is ours: it hands
each connection to the next gateway, and kills the first one when it has committed the job.
"""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from tests.chaos.processes import Part, free_port

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="kills processes"),
]

Cut = Callable[[], Awaitable[None]]


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, until nothing comes any more."""
    while chunk := await reader.read(65_536):
        writer.write(chunk)
    writer.close()


@asynccontextmanager
async def network(ports: list[int], cut: Cut) -> AsyncGenerator[str]:
    """A URL: its first connection gets no answer and breaks after `cut`, the others work."""
    waiting = list(ports)
    connections: list[asyncio.Task[None] | None] = []

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.current_task())
        port = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        answers, gateway = await asyncio.open_connection("127.0.0.1", port)
        asking = asyncio.create_task(pump(reader, gateway))
        await (cut() if len(connections) == 1 else pump(answers, writer))
        asking.cancel()
        gateway.transport.abort()
        writer.transport.abort()

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    finally:
        server.close()
        await asyncio.gather(*filter(None, connections))


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncGenerator[list[tuple[Part, int]]]:
    """Two gateway processes on one store, without workers."""
    parts: list[tuple[Part, int]] = []
    for number in range(2):
        port = free_port()
        config = tmp_path / f"{number}.yaml"
        config.write_text(
            f"home: {tmp_path}\n"
            f"gateway: {{port: {port}}}\n"
            "pools: {default: {models: [model], engine: {url: 'http://127.0.0.1:1'}}}\n"
        )
        command = ["headpond", "gateway", "--config", str(config)]
        parts.append((Part(f"gateway-{number}", command, tmp_path / f"{number}.log"), port))
    for part, port in parts:
        part.start()
        await until_it_listens(port)
    yield parts
    for part, _ in parts:
        part.end()


async def until_it_listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def jobs_in(store: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return [job_id for (job_id,) in connection.execute("SELECT id FROM jobs ORDER BY seq")]


async def until_a_job_is_in(store: Path) -> None:
    loop = asyncio.get_running_loop()
    seen = asyncio.Event()

    def look() -> None:
        if jobs_in(store):
            seen.set()
        else:
            loop.call_later(0.01, look)

    look()
    await seen.wait()


async def test_a_gateway_that_dies_between_commit_and_answer(
    gateways: list[tuple[Part, int]], tmp_path: Path
) -> None:
    store = tmp_path / "headpond.db"

    async def kill_once_committed() -> None:
        await until_a_job_is_in(store)
        await asyncio.to_thread(gateways[0][0].kill)

    ports = [port for _, port in gateways]
    async with (
        network(ports, kill_once_committed) as url,
        AsyncOpenAI(base_url=url, api_key="unused") as client,
    ):
        response = await client.responses.create(model="model", input="a", background=True)
        [job_id] = jobs_in(store)
        assert response.id.removeprefix("resp_") == job_id.removeprefix("job_")

        # A second request that is meant stays a second job.
        await client.responses.create(model="model", input="a", background=True)
        assert len(jobs_in(store)) == 2
