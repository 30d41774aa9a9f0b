"""The outbox: what webhooks have to tell, from the moment it happened until somebody was told.

An outbox lives beside the job store: whatever ends a job adds the dispatches of its event in the
same step, so there is a notice iff the job has ended. That costs nothing where a team has no
endpoint and a job no callback.
"""

from typing import Protocol

import msgspec

from headpond.domain.destination import Destination
from headpond.domain.dispatch import Dispatch, DispatchState
from headpond.domain.webhook_endpoint import EndpointId
from headpond.domain.webhook_event import Event, EventId


class DispatchQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which dispatches of an endpoint, newest first. `after` is the last event of a page."""

    endpoint: EndpointId
    state: DispatchState | None = None
    after: EventId | None = None
    limit: int = 20


class Untold(msgspec.Struct, frozen=True):
    """What is not told yet. `oldest_at` is when the oldest of it happened, None if nothing."""

    pending: int
    oldest_at: float | None = None


class Look(msgspec.Struct, frozen=True):
    """What a look found, and the destination that it came to: None if there are no more."""

    due: list[Destination]
    end: Destination | None = None


class Outbox(Protocol):
    """Dispatches under compare-and-set. Every verb takes effect durably before it returns."""

    async def publish(self, event: Event) -> None:
        """Add a dispatch for each endpoint that wants the event; once, however often called."""
        ...

    async def look(self, now: float, *, limit: int, after: Destination | None = None) -> Look:
        """Which destinations have something due, among the next `limit` with something pending."""
        ...

    async def lease(
        self, destination: Destination, *, now: float, limit: int, lease_s: float
    ) -> list[Dispatch]:
        """Hand out what is due there, longest due first; nobody else gets it for `lease_s`.

        The destination is as `look` tells it: a store may write long ones otherwise.
        """
        ...

    async def swap(self, after: Dispatch) -> bool:
        """Replace the dispatch iff the stored version is `after.version - 1`; False if not."""
        ...

    async def get(self, endpoint: EndpointId, event_id: EventId) -> Dispatch | None:
        """The dispatch as it stands, None if there is none."""
        ...

    async def find(self, query: DispatchQuery) -> list[Dispatch]:
        """The dispatches that match, newest first."""
        ...

    async def untold(self) -> Untold:
        """What is pending, everywhere."""
        ...

    async def forget(self, ended_before: float, *, limit: int) -> int:
        """Remove up to `limit` dispatches that ended before then; returns how many.

        A store whose service removes them by itself may leave them to it for some days.
        """
        ...
