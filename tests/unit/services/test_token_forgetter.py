"""Tokens are removed some time after their job's end."""

from headpond.ports.streams import Entry
from headpond.services.token_forgetter import TokenForgetter
from headpond.testing.records import a_job
from headpond.testing.virtual_time import run_virtually
from tests.unit.services.pond import Pond


def test_tokens_outlive_their_job_for_a_while() -> None:
    async def experiment() -> None:
        pond = Pond()
        job_id = await pond.submit(a_job(stream=True))
        [claim] = await pond.delivery.claim([a_job().lane], worker="w", limit=1)
        await pond.streams.append(job_id, Entry(1, claim.job.version, b"[]"))
        await pond.jobs.swap(claim.job.cancelled(pond.clock.now()))

        assert await TokenForgetter(pond.streams, clock=pond.clock, ttl_s=60).tick() == 0
        assert await TokenForgetter(pond.streams, clock=pond.clock, ttl_s=-1).tick() == 1
        assert await pond.streams.read(job_id, after=0, limit=9) == []

    run_virtually(experiment())
