"""Dispatches in rows, and every change to them, as steps of a transaction."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from headpond.adapters.postgres.connection import Connection, run
from headpond.domain.destination import Destination
from headpond.domain.dispatch import Dispatch, dispatches
from headpond.domain.job import Job
from headpond.domain.webhook_endpoint import Endpoint
from headpond.domain.webhook_event import Event, job_events

_encode = msgspec.json.Encoder().encode
_decode_dispatch = msgspec.json.Decoder(Dispatch).decode
_decode_endpoint = msgspec.json.Decoder(Endpoint).decode

Told = tuple[Event, str | None]
"""An event, and the callback of the job that it is about."""


def endpoint_of(record: str) -> Endpoint:
    """The endpoint as it was stored."""
    return _decode_endpoint(record)


def dispatch_of(record: str) -> Dispatch:
    """The dispatch as it was stored."""
    return _decode_dispatch(record)


async def tell_ends(connection: Connection, jobs: Iterable[Job]) -> None:
    """Leave the dispatches of those that have ended; a callback hears a job's own event only."""
    told: list[Told] = []
    for job in jobs:
        if job.state.terminal:
            own, *more = job_events(job)
            told += [(own, job.callback), *((event, None) for event in more)]
    await publish(connection, told)


async def publish(connection: Connection, told: Sequence[Told]) -> None:
    """Insert a dispatch of each event for each endpoint that wants it, and for the callback."""
    if not told:
        return
    teams = sorted({event.team for event, _ in told})
    endpoints: defaultdict[str, list[Endpoint]] = defaultdict(list)
    for team, record in await run(connection, "endpoints_to_tell", teams):
        endpoints[team].append(endpoint_of(record))
    rows = [
        dispatch
        for event, callback in told
        for dispatch in dispatches(event, endpoints[event.team], callback)
    ]
    if rows:
        await run(
            connection,
            "insert_dispatches",
            [dispatch.endpoint for dispatch in rows],
            [dispatch.destination.origin for dispatch in rows],
            [dispatch.event.id for dispatch in rows],
            [dispatch.version for dispatch in rows],
            [dispatch.state.value for dispatch in rows],
            [dispatch.event.occurred_at for dispatch in rows],
            [dispatch.due_at for dispatch in rows],
            [dispatch.ended_at for dispatch in rows],
            [_encode(dispatch).decode() for dispatch in rows],
        )


async def lease(
    connection: Connection, destination: Destination, *, now: float, limit: int, lease_s: float
) -> list[Dispatch]:
    """Lease what is due, longest due first."""
    due = await run(
        connection, "due_dispatches", destination.endpoint, destination.origin, now, limit
    )
    leased = [dispatch_of(record).leased(now, lease_s) for (record,) in due]
    for dispatch in leased:
        await swap(connection, dispatch)
    return leased


async def swap(connection: Connection, after: Dispatch) -> bool:
    """Replace the dispatch iff its version is one below that of `after`."""
    return bool(
        await run(
            connection,
            "swap_dispatch",
            after.endpoint,
            after.event.id,
            after.version,
            after.state.value,
            after.due_at,
            after.ended_at,
            _encode(after).decode(),
        )
    )
