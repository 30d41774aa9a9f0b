"""Dispatches in rows, and every change to them, as steps of a transaction."""

import json
import sqlite3
from collections.abc import Iterable

import msgspec

from headpond.adapters.sqlite import foreign
from headpond.adapters.sqlite.connection import sql
from headpond.domain.destination import Destination
from headpond.domain.dispatch import Dispatch, dispatches
from headpond.domain.webhook_endpoint import Endpoint
from headpond.domain.webhook_event import Event

_encode = msgspec.json.Encoder().encode
_decode_dispatch = msgspec.json.Decoder(Dispatch).decode
_decode_endpoint = msgspec.json.Decoder(Endpoint).decode


def endpoint_of(record: str) -> Endpoint:
    """The endpoint as it was stored."""
    return _decode_endpoint(record)


def dispatch_of(record: str) -> Dispatch:
    """The dispatch as it was stored."""
    return _decode_dispatch(record)


def endpoints_of(connection: sqlite3.Connection, team: str) -> list[Endpoint]:
    """A team's endpoints, oldest first."""
    rows = connection.execute(sql("endpoints_of_team"), (team,))
    return [endpoint_of(record) for (record,) in rows]


def with_endpoints(connection: sqlite3.Connection, teams: Iterable[str]) -> set[str]:
    """Those of the teams that have endpoints."""
    rows = connection.execute(sql("teams_with_endpoints"), (json.dumps(list(teams)),))
    return {team for (team,) in rows}


def publish(connection: sqlite3.Connection, event: Event, callback: str | None = None) -> None:
    """Insert a dispatch of the event for each endpoint that wants it, and for the callback."""
    endpoints = endpoints_of(connection, event.team)
    connection.executemany(
        sql("insert_dispatch"),
        [
            (
                dispatch.endpoint,
                dispatch.destination.origin,
                event.id,
                dispatch.version,
                dispatch.state.value,
                event.occurred_at,
                dispatch.due_at,
                dispatch.ended_at,
                _encode(dispatch).decode(),
            )
            for dispatch in dispatches(event, endpoints, callback)
        ],
    )


def lease(
    connection: sqlite3.Connection,
    destination: Destination,
    *,
    now: float,
    limit: int,
    lease_s: float,
) -> list[Dispatch]:
    """Lease what is due, longest due first."""
    parameters = {
        "endpoint": destination.endpoint,
        "origin": destination.origin,
        "now": now,
        "limit": limit,
    }
    due = connection.execute(sql("due_dispatches"), parameters).fetchall()
    leased = [dispatch_of(record).leased(now, lease_s) for (record,) in due]
    for dispatch in leased:
        swap(connection, dispatch)
    return leased


def swap(connection: sqlite3.Connection, after: Dispatch) -> bool:
    """Replace the dispatch iff its version is one below that of `after`."""
    changed = connection.execute(
        sql("swap_dispatch"),
        (
            after.version,
            after.state.value,
            after.due_at,
            after.ended_at,
            foreign.rewritten(connection, after, "get_dispatch", after.endpoint, after.event.id),
            after.endpoint,
            after.event.id,
            after.version - 1,
        ),
    ).rowcount
    return changed > 0
