"""Hindsight: what the audit log teaches policy `predictive` of the times of day and of the week.

A scaler learns them by itself, in a day or a week. This is for a pool that has worked for longer
than its scaler.
"""

from msgspec.structs import replace

from headpond.domain.scaling.members import cold_start_of
from headpond.domain.scaling.season import KEEP, SLOT_S, Season, learned, slot
from headpond.errors import InvalidRequest
from headpond.ports.audit import Audit, AuditQuery
from headpond.ports.clock import Clock
from headpond.ports.scaling import ScalingStore


async def learn(pool: str, audit: Audit, scaling: ScalingStore, clock: Clock) -> int:
    """Have the pool's policy know the last eight days; returns of how many jobs.

    Raises InvalidRequest where there are none, and Unavailable.
    """
    until = slot(clock.now())
    since = until - KEEP
    counts = [0] * KEEP
    async for job in audit.jobs(AuditQuery(since=since * SLOT_S)):
        number = slot(job.accepted_at) - since
        if job.pool == pool and 0 <= number < KEEP:
            counts[number] += 1
    if not any(counts):
        message = (
            f"No job of the pool {pool!r} ended in the last {KEEP * SLOT_S / 86_400:.0f} days."
        )
        raise InvalidRequest(message, code="nothing_to_learn", param="--pool")
    # Before the first job there was no service, which is not the same as no demand.
    first = next(number for number, count in enumerate(counts) if count)
    while True:
        state = await scaling.state(pool)
        cold_start = cold_start_of(state.cold_starts)
        lead_s = 0.0 if cold_start is None else cold_start.p90_s
        season = learned(counts[first:], lead_s, until)
        if isinstance(state.memory.past, Season):
            season = replace(season, arrivals=state.memory.past.arrivals)
        # A scaler at work changes the state every few seconds: try until it is between two.
        if await scaling.swap(state.taught(season)):
            return sum(counts)
