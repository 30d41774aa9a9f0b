"""How fast PostgreSQL is drained when it holds many finished jobs, beside none, in one run.

usage: python -m benchmarks.postgres_finished [--finished 10000000] [--jobs 5000] [--rounds 5]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable
from pathlib import Path

import uvloop

from benchmarks.harness.machine import describe_machine
from benchmarks.harness.postgres_server import postgres_server
from benchmarks.subjects.headpond import CLAIM, LANES, pond_on_postgres
from headpond.adapters.postgres.connection import Connection, Limits, connect
from headpond.domain.job import Usage
from headpond.domain.outcome import Settlement

AT_ONCE = 200_000
FILL = """
WITH stored AS (
    INSERT INTO jobs (id, version, team, model, state, accepted_at, finished_at, record)
    SELECT
        'old_' || n, 4, 'team-' || n % 100, 'model', 'succeeded', n, n,
        json_build_object('padding', repeat('x', 500))
    FROM generate_series($1::bigint, $2::bigint) AS n
    RETURNING seq
), asked AS (
    INSERT INTO requests (seq, body) SELECT seq, repeat('r', 600)::bytea FROM stored
)
INSERT INTO responses (seq, body) SELECT seq, repeat('a', 300)::bytea FROM stored
"""


async def drained_per_s(url: str, jobs: int) -> float:
    """Submit so many jobs, then claim and settle them by 64; jobs a second of the second part."""
    pond = await pond_on_postgres(url)
    for start in range(0, jobs, 500):
        await asyncio.gather(*(pond.submit(number) for number in range(start, start + 500)))
    began = time.perf_counter()
    left = jobs
    while left > 0:
        claims = await pond.delivery.claim(LANES, worker="w", limit=CLAIM)
        settled: list[Awaitable[bool]] = []
        for claim in claims:
            after = claim.job.succeeded(pond.clock.now(), engine="e", usage=Usage(150, 2))
            settled.append(pond.delivery.settle(claim, Settlement(job=after, response=b"{}")))
        left -= sum(await asyncio.gather(*settled))
    return jobs / (time.perf_counter() - began)


async def fill(connection: Connection, finished: int) -> None:
    """Insert finished jobs with their bodies."""
    for first in range(1, finished + 1, AT_ONCE):
        await connection.fetch(FILL, first, min(first + AT_ONCE - 1, finished))


async def stocked(url: str, finished: int) -> str:
    """A second database on the server with so many finished jobs; its URL."""
    connection = await connect(url, Limits(statement_s=600), synced=False)
    await connection.execute("CREATE DATABASE stocked")
    await connection.close()
    url = url.rpartition("/")[0] + "/stocked"
    await drained_per_s(url, CLAIM)  # makes the tables
    connection = await connect(url, Limits(statement_s=3_600), synced=False)
    await fill(connection, finished)
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    await connection.close()
    return url


async def measure(url: str, finished: int, jobs: int, rounds: int) -> None:
    """Print what is drained from a database without finished jobs and from one with, in turns."""
    filled_url = await stocked(url, finished)
    print(f"{'round':>6} {'drain/s, none':>14} {f'with {finished:,}':>18} {'ratio':>6}")
    ratios: list[float] = []
    for number in range(1, rounds + 1):
        without, among = await drained_per_s(url, jobs), await drained_per_s(filled_url, jobs)
        ratios.append(among / without)
        print(f"{number:>6} {without:>14,.0f} {among:>18,.0f} {ratios[-1]:>6.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}")


def main() -> None:
    """Run on a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--finished", type=int, default=10_000_000)
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headpond-postgres-") as folder:
        Path(folder).chmod(0o711)
        print(describe_machine(Path(folder)))
        with postgres_server(Path(folder) / "server") as url:
            uvloop.run(measure(url, options.finished, options.jobs, options.rounds))


if __name__ == "__main__":
    main()
