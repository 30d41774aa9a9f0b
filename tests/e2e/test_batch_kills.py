"""A batch is done, with one line for each request, whichever processes are killed. SPEC G2 G7."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from headpond.client import Client, RemoteBatch
from headpond.domain.batch import BatchStatus
from headpond.errors import Unavailable
from tests.chaos.processes import Part, free_port
from tests.e2e.test_batches import CHAT, chat_line, jsonl

LINES = 400
KILLS = 3
"""In each phase; after each of them the batch is given time to move on."""

NAMES = [f"line-{number}" for number in range(LINES)]

BEFORE = {
    BatchStatus.VALIDATING: (),
    BatchStatus.IN_PROGRESS: (BatchStatus.VALIDATING,),
    BatchStatus.FINALIZING: (BatchStatus.VALIDATING, BatchStatus.IN_PROGRESS),
}
"""The phases in which processes are killed, each with those that come first."""


class System:
    """Engine, gateway and worker as processes on one SQLite file."""

    def __init__(self, home: Path) -> None:
        port, engine_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._database = home / "headpond.db"
        config = home / "headpond.yaml"
        config.write_text(
            f"home: {home}\n"
            f"gateway: {{port: {port}}}\n"
            "pools:\n"
            "  default:\n"
            f"    engine: {{url: 'http://127.0.0.1:{engine_port}'}}\n"
            "    models: [model]\n"
            "    lease_s: 2\n"
            "    retry: {max_lost_leases: 100, not_now_s: 0.2}\n"
            "batches: {lease_s: 1, every_s: 0.1}\n"
            "reaper: {every_s: 1, accepted_grace_s: 2}\n"
            "log: {level: warning}\n"
        )
        engine = ["headpond.testing.engine_server", "--port", str(engine_port), "--model", "model"]
        gateway = ["headpond", "gateway", "--config", str(config)]
        worker = ["headpond", "worker", "--config", str(config)]
        self.engine = Part("engine", engine, home / "engine.log")
        self.gateway = Part("gateway", gateway, home / "gateway.log")
        self.worker = Part("worker", worker, home / "worker.log")

    def start(self) -> None:
        for part in self.parts:
            part.start()

    @property
    def parts(self) -> tuple[Part, Part, Part]:
        return self.engine, self.gateway, self.worker

    def stands(self) -> tuple[BatchStatus, int]:
        """Where the newest batch stands, and its record's version, read past the gateway."""
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True)) as connection:
            query = "SELECT status, version FROM batches ORDER BY seq DESC LIMIT 1"
            status, version = connection.execute(query).fetchone()
            return BatchStatus(status), version

    def kill_in(self, phase: BatchStatus, times: int) -> int:
        """Kill engine, gateway and worker in this phase, and start them again; returns how often.

        Fewer than `times` if the phase was over before.
        """
        hits, seen = 0, 0
        while hits < times:
            status, version = self.stands()
            if status in BEFORE[phase] or version == seen:
                time.sleep(0.001)
                continue
            for part in self.parts:
                part.kill()
            status, seen = self.stands()
            hits += status is phase
            for part in self.parts:
                part.start()
            if status is not phase:
                break
        return hits


@pytest.fixture
def system(tmp_path: Path) -> Generator[System]:
    system = System(tmp_path)
    system.start()
    yield system
    for part in (system.worker, system.gateway, system.engine):
        part.end()


@pytest.fixture
def input_file(tmp_path: Path) -> Path:
    path = tmp_path / "input.jsonl"
    path.write_bytes(jsonl([chat_line(name) for name in NAMES]))
    return path


async def listening(client: Client) -> None:
    """Once the gateway answers."""
    while True:
        try:
            await client.batches()
        except Unavailable:
            await asyncio.sleep(0.05)
        else:
            return


async def ended(client: Client, batch_id: str) -> RemoteBatch:
    """The batch once it has ended."""
    await listening(client)
    while True:
        batch = await client.batch(batch_id)
        if batch.status.ended:
            return batch
        await asyncio.sleep(0.05)


@pytest.mark.timeout(180)
@pytest.mark.no_cover
@pytest.mark.parametrize("phase", BEFORE)
async def test_a_batch_survives_the_deaths_of_engine_gateway_and_worker(
    system: System, input_file: Path, phase: BatchStatus
) -> None:
    async with Client(system.url) as client:
        hits = 0
        while hits < KILLS:
            await listening(client)
            file_id = await client.upload(input_file)
            batch = await client.create_batch(file_id, endpoint=CHAT, window="24h")
            hits += await asyncio.to_thread(system.kill_in, phase, KILLS - hits)
            batch = await ended(client, batch.id)
            assert batch.status is BatchStatus.COMPLETED
            assert batch.error_file_id is None
            assert batch.output_file_id is not None
            text = b"".join([piece async for piece in client.content(batch.output_file_id)])
            assert [json.loads(line)["custom_id"] for line in text.splitlines()] == NAMES
