"""Large bodies of a gateway and a worker on DynamoDB: in the object store until they are erased."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from headpond.client import Client
from headpond.domain.job import JobState
from headpond.settings import BatchSettings, EngineSettings, GatewaySettings, PoolSettings, Settings
from headpond.testing.engine_server import FakeEngine
from headpond.wiring.gateways import open_gateway
from headpond.wiring.workers import open_worker
from tests.emulators.moto_server import moto_server
from tests.servers import serving

PROMPT = "Say yes. " * 15_000
ANSWER = "Yes. " * 25_000


async def test_a_large_request_and_its_answer_lie_there_until_they_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headpond.wiring.gateways.TIDY_EVERY_S", 0.1)
    bucket = tmp_path / "bucket"
    with moto_server() as moto:
        async with FakeEngine(answer=ANSWER) as engine:
            place = f"eu-central-1/pond?endpoint={moto.url}"
            settings = Settings(
                home=str(tmp_path / "home"),
                store=f"dynamodb://{place}",
                queue=f"sqs://{place}",
                gateway=GatewaySettings(port=0, max_prompt_chars=len(PROMPT)),
                pools={
                    "default": PoolSettings(engine=EngineSettings(url=engine.url), models=("fake",))
                },
                batches=BatchSettings(files=f"file://{bucket}"),
            )
            async with (
                open_gateway(settings) as gateway,
                serving(gateway.app) as url,
                open_worker(settings, "default", name="worker") as worker,
                Client(url) as client,
            ):
                worker.start()
                job = await client.ended(await client.submit({"prompt": PROMPT}))
                assert (job.status, job.text) == (JobState.SUCCEEDED, ANSWER)
                await worker.stop(grace_s=5)
                kinds = {path.name.split(".")[1] for path in lying(bucket)}
                assert kinds == {"request", "response"}
                async with aiohttp.ClientSession() as session:
                    reply = await session.delete(f"{url}/jobs/{job.job_id}")
                    assert reply.status == 200
                async with asyncio.timeout(20):
                    while lying(bucket):  # noqa: ASYNC110 - a folder tells nobody
                        await asyncio.sleep(0.05)
        moto.forget_tables()


def lying(bucket: Path) -> list[Path]:
    """What is in the object store."""
    return [path for path in bucket.rglob("*") if path.is_file()]
