"""A plain PostgreSQL table: what the server and a driver allow, with no queue around them.

One table, a partial index over what is ready, a lease and the result in the row; claimed with
`FOR UPDATE SKIP LOCKED`. It is the yardstick for every queue on PostgreSQL, ours included.
"""

import asyncio
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from benchmarks.subjects.subject import AT_LEAST_ONCE, BY_THE_QUEUE, PROMPT, AsyncSubject, Facts

CLAIM = 64
LEASE_S = 300
POLL_S = 0.005

CREATE = """
DROP SCHEMA public CASCADE;
CREATE SCHEMA public;
CREATE TABLE jobs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL UNIQUE,
    state integer NOT NULL DEFAULT 0, priority integer NOT NULL DEFAULT 0,
    lease_until double precision, attempts integer NOT NULL DEFAULT 0, payload text NOT NULL,
    result text, submitted double precision NOT NULL, completed double precision
);
CREATE INDEX ready ON jobs (priority DESC, id) WHERE state = 0;
"""
INSERT = """
INSERT INTO jobs (key, payload, submitted)
SELECT * FROM unnest($1::text[], $2::text[], $3::double precision[])
"""
# An expired lease is ready again in a real queue; the yardstick leaves that out.
CLAIMED = """
UPDATE jobs SET state = 1, lease_until = $1, attempts = attempts + 1
WHERE id IN (
    SELECT id FROM jobs WHERE state = 0 ORDER BY priority DESC, id LIMIT $2 FOR UPDATE SKIP LOCKED
)
RETURNING id, payload
"""
COMPLETE = """
UPDATE jobs SET state = 2, result = done.result, completed = $3
FROM unnest($1::bigint[], $2::text[]) AS done (id, result)
WHERE jobs.id = done.id
"""
COUNT = "SELECT count(*) FROM jobs WHERE state = 2 AND result IS NOT NULL"


class BarePostgres(AsyncSubject):
    """Claims 64 jobs at a time: one commit for 64 claims, one for 64 results."""

    def facts(self) -> Facts:
        return Facts(
            durability=self.assignment.server_durability,
            delivery=f"{AT_LEAST_ONCE} in form: leases are written, but nothing expires them",
            results=BY_THE_QUEUE,
            settings=f"asyncpg, claims {CLAIM} at a time, polls every {POLL_S * 1000:g} ms",
        )

    async def open_producer_async(self) -> None:
        self.connection: Any = await asyncpg.connect(self.assignment.server_url)
        await self.connection.execute(CREATE)

    async def submit_each_async(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            await self._submit([number])

    def submit_batch(self, numbers: Sequence[int]) -> None:
        self.runner.run(self._submit(numbers))

    def work(self) -> None:
        asyncio.run(self._work())

    def stored_results(self) -> int:
        return self.runner.run(self.connection.fetchval(COUNT))

    async def _submit(self, numbers: Sequence[int]) -> None:
        await self.connection.execute(
            INSERT,
            [f"job-{number}" for number in numbers],
            [json.dumps({"number": number, "prompt": PROMPT}) for number in numbers],
            [time.time()] * len(numbers),
        )

    async def _work(self) -> None:
        connection: Any = await asyncpg.connect(self.assignment.server_url)
        while True:
            claimed = await connection.fetch(CLAIMED, time.time() + LEASE_S, CLAIM)
            if not claimed:
                await asyncio.sleep(POLL_S)
                continue
            results = [
                json.dumps(self.run_job(json.loads(row["payload"])["number"])) for row in claimed
            ]
            await connection.execute(COMPLETE, [row["id"] for row in claimed], results, time.time())
