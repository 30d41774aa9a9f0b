"""Delivery with queue and records in one PostgreSQL database.

The verbs are those of `services/two_step_delivery.py`. To submit and to settle are one statement
each, so no crash falls between record and message. A claim is two: the receipt locks the lane,
which others wait for, and must not wait for us while we judge. A crash in between leaves a lease
that lapses; and a record becomes `running` only while the lease under which it was read is still
held.

A record that becomes `running` is on the disk before anybody works on it. Its version is the
fencing token, and the worker outlives a crash of the server: were the claim undone by it, another
worker's claim would make the same version again.
"""

import asyncio
from collections.abc import Callable, Sequence
from enum import Enum, auto

from typing_extensions import override

from headpond.adapters.postgres import dispatches, records
from headpond.adapters.postgres.bells import Bell
from headpond.adapters.postgres.claims import Claims
from headpond.adapters.postgres.connection import Connection, run
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.lanes import columns, held, receive
from headpond.adapters.postgres.queue import give_back, wait_for_more
from headpond.domain.claim import Sweep
from headpond.domain.job import Job, JobState, Ticket
from headpond.domain.lane import Lane
from headpond.domain.outcome import Settlement
from headpond.domain.stored import job_of, record_of
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.jobs import Added, Existing, NewJob
from headpond.ports.queue import Lease, message_of


class Written(Enum):
    """What became of a settlement: nothing yet where somebody is to be told of the job's end."""

    YES = auto()
    NO = auto()
    TO_BE_TOLD = auto()


class PostgresDelivery(Delivery):
    """`lease_s` is the same for every claim."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        new_ticket: Callable[[], Ticket],
        lease_s: float,
        max_lost_leases: int,
    ) -> None:
        self._database = database
        self._clock = clock
        self._new_ticket = new_ticket
        self._lease_s = lease_s
        self._claims = Claims(database, clock, max_lost_leases=max_lost_leases)

    @override
    async def submit(self, new: NewJob) -> Added | Existing:
        queued = new.job.enqueued(self._clock.now())
        as_queued = NewJob(queued, new.request, new.idempotency)
        return await self._database.join(self._submit, as_queued)

    @override
    async def claim(
        self, lanes: Sequence[Lane], *, worker: str, limit: int, wait_s: float = 0.0
    ) -> list[Claim]:
        until = asyncio.get_running_loop().time() + wait_s
        with self._database.bells.hearing(Bell.LANES, [str(lane) for lane in lanes]) as rung:
            while True:
                rung.clear()
                claims = await self._claim(lanes, worker, limit)
                if claims or not await wait_for_more(
                    self._database, self._clock, lanes, until, rung
                ):
                    return claims

    @override
    async def renew(self, claims: Sequence[Claim]) -> list[Claim]:
        rows = await self._database.write(
            "renew",
            self._clock.now(),
            self._lease_s,
            *held([claim.lease for claim in claims]),
            [claim.job.id for claim in claims],
            [claim.job.version for claim in claims],
            synced=False,
        )
        standing = {place for (place,) in rows}
        return [claim for place, claim in enumerate(claims, 1) if place in standing]

    @override
    async def settle(self, claim: Claim, settlement: Settlement) -> bool:
        item = (claim.lease, settlement)
        after = settlement.job
        while True:
            written = await self._database.join(self._settle, item)
            if written is Written.TO_BE_TOLD:
                written = await self._database.join(self._settle_and_tell, item)
            if written is Written.YES:
                return True
            stands = await self._get(after)
            # Unless it has come to this version only now.
            if stands is None or stands.version != after.version - 1:
                await self._release(claim.lease, stands, settlement.delay_s)
                return stands == after

    @override
    async def reissue(self, job: Job) -> bool:
        return await self._enqueue(job, job.reissued(self._new_ticket()))

    @override
    async def redrive(self, job: Job, *, delay_s: float = 0.0) -> bool:
        return await self._enqueue(job, job.redriven(self._new_ticket()), delay_s)

    async def _enqueue(self, before: Job, after: Job, delay_s: float = 0.0) -> bool:
        now = self._clock.now()
        queued = after.enqueued(now + delay_s)
        message = [column for (column,) in columns([message_of(queued)])]
        lane, _, ticket, *rest = message
        ((moved, _),) = await self._database.write(
            "enqueue",
            queued.id,
            before.version,
            queued.version,
            queued.state.value,
            queued.finished_at,
            record_of(queued),
            now,
            delay_s,
            lane,
            ticket,
            *rest,
        )
        if moved:
            self._database.bells.ring(Bell.JOBS, [queued.id])
            self._database.bells.ring(Bell.LANES, [str(queued.lane)])
        return moved > 0

    async def _submit(
        self, connection: Connection, news: Sequence[NewJob]
    ) -> list[Added | Existing | BaseException]:
        stored = await records.add(connection, news, self._clock.now(), queued=True)
        added = [one.job for one in stored if isinstance(one, Added)]
        self._database.bells.ring(Bell.LANES, [str(job.lane) for job in added])
        return stored

    async def _claim(self, lanes: Sequence[Lane], worker: str, limit: int) -> list[Claim]:
        claims: list[Claim] = []
        sweep: Sweep | None = Sweep(limit)
        while sweep is not None:
            received = await receive(
                self._database,
                lanes,
                limit=sweep.limit,
                now=self._clock.now(),
                lease_s=self._lease_s,
            )
            begun, done = await self._claims.begin(received, worker)
            if done:
                remove = "drop" if sweep.refunds else "ack"
                await self._database.write(remove, self._clock.now(), *held(done))
            claims += begun
            sweep = sweep.then(len(received), len(begun))
        return claims

    async def _settle(
        self, connection: Connection, items: Sequence[tuple[Lease, Settlement]]
    ) -> list[Written]:
        return await self._write(connection, items, telling=False)

    async def _settle_and_tell(
        self, connection: Connection, items: Sequence[tuple[Lease, Settlement]]
    ) -> list[Written]:
        async with connection.transaction():
            written = await self._write(connection, items, telling=True)
            ended = [
                settlement.job
                for (_, settlement), one in zip(items, written, strict=True)
                if one is Written.YES
            ]
            await dispatches.tell_ends(connection, ended)
        return written

    async def _write(
        self,
        connection: Connection,
        items: Sequence[tuple[Lease, Settlement]],
        *,
        telling: bool,
    ) -> list[Written]:
        afters = [settlement.job for _, settlement in items]
        rows = await run(
            connection,
            "settle",
            self._clock.now(),
            [after.id for after in afters],
            [after.version for after in afters],
            [after.state.value for after in afters],
            [after.finished_at for after in afters],
            [record_of(after) for after in afters],
            [settlement.response for _, settlement in items],
            *held([lease for lease, _ in items]),
            [settlement.delay_s for _, settlement in items],
            [after.team for after in afters],
            telling,
            [after.callback is not None for after in afters],
        )
        written: list[int]
        ((written, to_be_told, ready),) = rows
        self._database.bells.ring(Bell.JOBS, [afters[place - 1].id for place in written])
        self._database.bells.ring(Bell.LANES, ready or ())
        results = dict.fromkeys(written, Written.YES) | dict.fromkeys(
            to_be_told, Written.TO_BE_TOLD
        )
        return [results.get(place, Written.NO) for place in range(1, len(items) + 1)]

    async def _get(self, job: Job) -> Job | None:
        rows = await self._database.read("get_job", job.id)
        return job_of(rows[0][0]) if rows else None

    async def _release(self, lease: Lease, stands: Job | None, delay_s: float) -> None:
        """The record decides about the message, whoever wrote it."""
        now = self._clock.now()
        if stands is None or stands.state.terminal:
            await self._database.write("ack", now, *held([lease]))
        elif stands.state is not JobState.RUNNING:
            await give_back(self._database, [lease], now=now, delay_s=delay_s)
