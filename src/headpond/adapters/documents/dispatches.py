"""Dispatches as items, written in the transaction that ends what they tell of.

The agenda has pending ones by the endpoint and the origin that they go to, and names of teams may
make an endpoint's id too long for that. There it is bounded, which leaves it as it was where it is
short: nearly all that DynamoDB took. Older releases wrote endpoint and origin whole, as long as
they were. Both are found: where to look is read from the agenda, word for word, and a dispatch that
changes gets its new place.
"""

from collections.abc import Sequence

import msgspec

from headpond.adapters.documents.records import agenda_of
from headpond.adapters.documents.table import (
    SORT_BYTES,
    Change,
    Item,
    Key,
    Put,
    Table,
    Value,
    at,
    expires,
    raw,
    shard_of,
)
from headpond.domain.batch import Batch
from headpond.domain.bounded import bounded
from headpond.domain.destination import Destination
from headpond.domain.dispatch import Dispatch, dispatches
from headpond.domain.job import Job
from headpond.domain.webhook_endpoint import Endpoint, EndpointId
from headpond.domain.webhook_event import Event, EventId, batch_event, job_events

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Dispatch).decode
_decode_endpoint = msgspec.json.Decoder(Endpoint).decode


BETWEEN, BEYOND = "\x01", "\x7f"

TO_BYTES = SORT_BYTES - 102
"""An endpoint and an origin together: two times and the id of an event need the rest."""

PLACE_BYTES = SORT_BYTES - 50
"""A longer place has no room for a time behind it."""

HIGHEST = "\U0010ffff"


class Pending(msgspec.Struct, frozen=True):
    """Times are Unix seconds."""

    to: Destination
    due_at: float
    happened_at: float


async def job_notices(table: Table, ended: Job) -> list[Put]:
    """What a job that ends with this record leaves, for its team's endpoints and its callback."""
    return await notices(table, job_events(ended), ended.callback)


async def batch_notices(table: Table, ended: Batch) -> list[Put]:
    """What a batch that ends with this record leaves."""
    return await notices(table, [batch_event(ended)])


async def notices(table: Table, events: Sequence[Event], callback: str | None = None) -> list[Put]:
    """A dispatch of each event of a team for each who is to be told; a callback of the first."""
    endpoints = await endpoints_of(table, events[0].team)
    return [
        Put(_new_item(dispatch), absent=True)
        for number, event in enumerate(events)
        for dispatch in dispatches(event, endpoints, None if number else callback)
    ]


async def endpoints_of(table: Table, team: str) -> list[Endpoint]:
    """A team's endpoints."""
    return [endpoint_of(item) for item in await table.under(f"endpoints#{team}")]


def endpoint_of(item: Item) -> Endpoint:
    """The endpoint as it was stored."""
    return _decode_endpoint(raw(item))


def key_of(endpoint: EndpointId, event_id: EventId) -> Key:
    """Where a dispatch is."""
    return Key(f"endpoint#{endpoint}", f"dispatch#{event_id}")


def dispatch_of(item: Item) -> Dispatch:
    """The dispatch as it was stored."""
    return _decode(raw(item))


def listed(to: Destination) -> Destination:
    """The destination as the agenda has it: an origin is never long (`domain/destination.py`)."""
    room = TO_BYTES - len(to.origin.encode())
    return Destination(EndpointId(bounded(to.endpoint, room)), to.origin)


def place_of(to: Destination) -> str:
    """Where the agenda has what is pending there: each destination's is together, by its time."""
    return f"{to.endpoint}{BETWEEN}{to.origin}{BETWEEN}"


def place_after(to: Destination) -> str:
    """Beyond all that is pending there, before any other destination.

    Beyond all that begins like it where it is too long to be asked for: an older release put it
    there. The others are come to once this one has been told.
    """
    place = place_of(to)
    begin = beginning(place)
    return begin + (BEYOND if begin == place else HIGHEST)


def beginning(place: str) -> str:
    """As much of a place as can be asked for."""
    return place.encode()[:PLACE_BYTES].decode(errors="ignore")


def pending_at(key: Key) -> Pending:
    """What the agenda says of a pending dispatch: the destination word for word."""
    endpoint, _, rest = key.sort.partition(BETWEEN)
    origin, _, when = rest.rpartition(BETWEEN)
    due, happened, *_ = when.split("#")
    return Pending(Destination(EndpointId(endpoint), origin), float(due), float(happened))


def changed(after: Dispatch, keep_s: float) -> Change:
    """The dispatch in the place of that one version below; kept so long once it has ended."""
    gone = None if after.ended_at is None else expires(after.ended_at + keep_s)
    return Change(
        key_of(after.endpoint, after.event.id),
        {**_moving(after), "expires": gone},
        {"version": after.version - 1},
    )


def _new_item(dispatch: Dispatch) -> Item:
    key = key_of(dispatch.endpoint, dispatch.event.id)
    return {
        "pk": key.pk,
        "sk": key.sk,
        "family": f"dispatches#{dispatch.endpoint}",
        "name": at(dispatch.event.occurred_at, dispatch.event.id),
        **{name: value for name, value in _moving(dispatch).items() if value is not None},
    }


def _moving(dispatch: Dispatch) -> dict[str, Value | None]:
    """Pending ones are in the agenda by where they go and when, ended ones by their end."""
    to = listed(dispatch.destination)
    shard = shard_of(to.endpoint)
    happened = at(dispatch.event.occurred_at, dispatch.event.id)
    if dispatch.due_at is not None:
        kind, when = "dispatch", place_of(to) + at(dispatch.due_at, happened)
    else:
        kind, when = "told", at(dispatch.ended_at or 0.0, happened)
    return {
        "version": dispatch.version,
        "record": _encode(dispatch),
        "agenda": agenda_of(kind, shard),
        "at": when,
    }
