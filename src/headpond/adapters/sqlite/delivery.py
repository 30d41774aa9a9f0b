"""Delivery with queue and records in one SQLite file: each verb is one transaction.

The verbs are those of `services/two_step_delivery.py` with every step inside the transaction, so
no crash can fall between two steps; what becomes of a job is decided by the same functions of
`domain`.
"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import assert_never

from typing_extensions import override

from headpond.adapters.sqlite import lanes as messages
from headpond.adapters.sqlite import records
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.queue import once_ready
from headpond.domain.claim import ASIDE_S, Begin, Drop, End, Sweep, judge
from headpond.domain.job import Job, JobState, Ticket
from headpond.domain.lane import Lane
from headpond.domain.outcome import Settlement
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim, Delivery
from headpond.ports.jobs import Added, Existing, NewJob
from headpond.ports.queue import Lease, message_of

NOTHING = records.Found(0, None, b"")


class SqliteDelivery(Delivery):
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
        self._max_lost_leases = max_lost_leases
        self._more = False  # whether the last claim found all that it asked for

    @override
    async def submit(self, new: NewJob) -> Added | Existing:
        queued = new.job.enqueued(self._clock.now())
        as_queued = NewJob(queued, new.request, new.idempotency)
        return await self._database.write_item(self._submit, as_queued)

    @override
    async def claim(
        self, lanes: Sequence[Lane], *, worker: str, limit: int, wait_s: float = 0.0
    ) -> list[Claim]:
        def claim(connection: sqlite3.Connection) -> list[Claim]:
            # Here, not before: the operation may have waited, and the lease must begin now.
            now = self._clock.now()
            claims: list[Claim] = []
            sweep: Sweep | None = Sweep(limit)
            while sweep is not None:
                leases = messages.receive(
                    connection, lanes, limit=sweep.limit, now=now, lease_s=self._lease_s
                )
                begun, done = self._claim(connection, leases, worker, now)
                remove = messages.drop if sweep.refunds else messages.ack
                remove(connection, done, now=now)
                claims += begun
                sweep = sweep.then(len(leases), len(begun))
            return claims

        claims = await once_ready(
            self._database,
            self._clock,
            lanes,
            claim,
            wait_s=wait_s,
            # Where there was more, the look would cost more than it saves; and like this, the claim
            # shares the commit of what is settled in the same moment.
            look_first=not self._more,
        )
        self._more = len(claims) == limit
        return claims

    @override
    async def renew(self, claims: Sequence[Claim]) -> list[Claim]:
        def renew(connection: sqlite3.Connection) -> list[Claim]:
            now = self._clock.now()
            leases = [claim.lease for claim in claims]
            kept = messages.extend(connection, leases, now=now, lease_s=self._lease_s)
            held = {lease.token for lease in kept}
            return [
                claim
                for claim in claims
                if claim.lease.token in held and records.stands(connection, claim.job)
            ]

        return await self._database.write(renew, synced=False)

    @override
    async def settle(self, claim: Claim, settlement: Settlement) -> bool:
        return await self._database.write_item(self._settle, (claim.lease, settlement))

    @override
    async def reissue(self, job: Job) -> bool:
        return await self._enqueue(job.reissued(self._new_ticket()))

    @override
    async def redrive(self, job: Job, *, delay_s: float = 0.0) -> bool:
        return await self._enqueue(job.redriven(self._new_ticket()), delay_s)

    async def _enqueue(self, after: Job, delay_s: float = 0.0) -> bool:
        now = self._clock.now()
        queued = after.enqueued(now + delay_s)

        def enqueue(connection: sqlite3.Connection) -> bool:
            if not records.swap(connection, after) or not records.swap(connection, queued):
                return False
            messages.send(connection, [message_of(queued)], now=now, delay_s=delay_s)
            return True

        return await self._database.write(enqueue)

    def _submit(
        self, connection: sqlite3.Connection, news: Sequence[NewJob]
    ) -> list[Added | Existing]:
        now = self._clock.now()
        stored = records.add(connection, news, now)
        added = [message_of(each.job) for each in stored if isinstance(each, Added)]
        messages.send(connection, added, now=now)
        return stored

    def _claim(
        self, connection: sqlite3.Connection, leases: Sequence[Lease], worker: str, now: float
    ) -> tuple[list[Claim], list[Lease]]:
        """What was begun, and the leases of messages that came to nothing."""
        found = records.get_with_requests(connection, [lease.message.job_id for lease in leases])
        claims: list[Claim] = []
        begun: list[tuple[int, Job]] = []
        done: list[Lease] = []
        for lease in leases:
            job_id = lease.message.job_id
            seq, job, request = found.get(job_id, NOTHING)
            if job is None and job_id in found:
                # Of a newer release, or damaged: not dropped, and in nobody's way.
                messages.give_back(connection, [lease], now=now, delay_s=ASIDE_S)
                continue
            verdict = judge(
                job,
                lease.message.ticket,
                worker=worker,
                now=now,
                max_lost_leases=self._max_lost_leases,
            )
            match verdict:
                case Begin(after):
                    # There may be a second message of this job.
                    found[job_id] = records.Found(seq, after, request)
                    begun.append((seq, after))
                    claims.append(Claim(after, request, lease))
                case End(after):
                    records.swap(connection, after)
                    done.append(lease)
                case Drop():
                    done.append(lease)
                case _:  # pragma: no cover
                    assert_never(verdict)
        records.begin_all(connection, begun)
        return claims, done

    def _settle(
        self, connection: sqlite3.Connection, settled: Sequence[tuple[Lease, Settlement]]
    ) -> list[bool]:
        now = self._clock.now()
        swaps = [(settlement.job, settlement.response) for _, settlement in settled]
        written = records.swap_all(connection, swaps)
        results: list[bool] = []
        done: list[Lease] = []
        for (lease, settlement), swapped in zip(settled, written, strict=True):
            after = settlement.job
            stands = after if swapped else records.get(connection, after.id)
            if stands is None or stands.state.terminal:
                done.append(lease)
            elif stands.state is not JobState.RUNNING:
                messages.give_back(connection, [lease], now=now, delay_s=settlement.delay_s)
            results.append(stands == after)
        messages.ack(connection, done, now=now)
        return results
