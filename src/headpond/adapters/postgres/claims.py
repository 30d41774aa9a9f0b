"""From leases to claims: the records of received messages become `running`, or the messages end."""

from collections.abc import Sequence
from typing import assert_never

from headpond.adapters.postgres.bells import Bell
from headpond.adapters.postgres.connection import Connection, run
from headpond.adapters.postgres.database import Database
from headpond.adapters.postgres.jobs import swap
from headpond.adapters.postgres.lanes import Received, held
from headpond.adapters.postgres.queue import give_back
from headpond.domain.claim import ASIDE_S, Begin, Drop, End, judge
from headpond.domain.job import JobId
from headpond.domain.stored import readable, record_of
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim
from headpond.ports.queue import Lease

LOOKS = 5
"""How often a record is read that changes while it is claimed. Then its lease is left to lapse."""


class Claims:
    """What becomes of a received message is decided by `domain/claim.py`."""

    def __init__(self, database: Database, clock: Clock, *, max_lost_leases: int) -> None:
        self._database = database
        self._clock = clock
        self._max_lost_leases = max_lost_leases

    async def begin(
        self, received: Sequence[Received], worker: str
    ) -> tuple[list[Claim], list[Lease]]:
        """What was begun, and the leases of messages that came to nothing."""
        begun: list[Claim] = []
        done: list[Lease] = []
        for _ in range(LOOKS):
            if not received:
                break
            found = [(one.lease, await self._judged(one, worker)) for one in received]
            candidates = [one for _, one in found if isinstance(one, Claim)]
            done += [lease for lease, one in found if one is True]
            written = await self._write(candidates)
            begun += written
            held_on = {claim.lease.token for claim in written}
            missed = [lease for lease, one in found if one is False]
            missed += [one.lease for one in candidates if one.lease.token not in held_on]
            received = await self._look_again(missed)
        return begun, done

    async def _judged(self, one: Received, worker: str) -> Claim | bool | None:
        """A claim to be written; True if the message came to nothing, False if it changed just now.

        None for one that was set aside.
        """
        job = None if one.record is None else readable(one.record, one.lease.message.job_id)
        now = self._clock.now()
        if one.record is not None and job is None:
            # Of a newer release, or damaged: not dropped, and in nobody's way.
            await give_back(self._database, [one.lease], now=now, delay_s=ASIDE_S)
            return None
        verdict = judge(
            job,
            one.lease.message.ticket,
            worker=worker,
            now=now,
            max_lost_leases=self._max_lost_leases,
        )
        match verdict:
            case Begin(after):
                return Claim(after, one.request, one.lease)
            case End(after):
                return await swap(self._database, after)
            case Drop():
                return True
            case _:  # pragma: no cover
                assert_never(verdict)

    async def _write(self, candidates: Sequence[Claim]) -> list[Claim]:
        """Those whose record was as it was read, and whose lease still held."""
        if not candidates:
            return []
        seqs, nonces = held([claim.lease for claim in candidates])

        async def write(connection: Connection) -> list[Claim]:
            rows = await run(
                connection,
                "begin_jobs",
                [claim.job.id for claim in candidates],
                [claim.job.version for claim in candidates],
                [claim.job.state.value for claim in candidates],
                [record_of(claim.job) for claim in candidates],
                seqs,
                nonces,
            )
            places = {place for (place,) in rows}
            return [claim for place, claim in enumerate(candidates, 1) if place in places]

        begun = await self._database.on_connection(write)
        self._database.bells.ring(Bell.JOBS, [claim.job.id for claim in begun])
        return begun

    async def _look_again(self, leases: Sequence[Lease]) -> list[Received]:
        if not leases:
            return []
        ids: list[JobId] = [lease.message.job_id for lease in leases]
        rows = await self._database.read("look_again", ids)
        found = {job_id: (record, request) for job_id, record, request in rows}
        return [Received(lease, *found.get(lease.message.job_id, (None, b""))) for lease in leases]
