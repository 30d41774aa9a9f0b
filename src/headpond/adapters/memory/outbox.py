"""What webhooks have to tell, in this process's memory."""

from math import inf
from operator import attrgetter

from typing_extensions import override

from headpond.domain.batch import Batch
from headpond.domain.destination import Destination
from headpond.domain.dispatch import Dispatch, dispatches
from headpond.domain.job import Job
from headpond.domain.webhook_endpoint import Endpoint, EndpointId
from headpond.domain.webhook_event import Event, EventId, batch_event, job_events
from headpond.ports.outbox import DispatchQuery, Look, Outbox, Untold


class MemoryOutbox(Outbox):
    """Nothing survives the process. `endpoints` are kept by `MemoryEndpointStore`."""

    def __init__(self) -> None:
        self.endpoints: dict[EndpointId, Endpoint] = {}
        self._dispatches: dict[tuple[EndpointId, EventId], Dispatch] = {}

    def job_ended(self, job: Job) -> None:
        """Called by the job store, with no await between the job's end and this."""
        own, *more = job_events(job)
        self._add(own, job.callback)
        for event in more:
            self._add(event)

    def batch_ended(self, batch: Batch) -> None:
        """Called by the batch store, in the same way."""
        self._add(batch_event(batch))

    def remove(self, endpoint_id: EndpointId) -> None:
        """Remove what was on its way there."""
        for key in [key for key in self._dispatches if key[0] == endpoint_id]:
            del self._dispatches[key]

    @override
    async def publish(self, event: Event) -> None:
        self._add(event)

    @override
    async def look(self, now: float, *, limit: int, after: Destination | None = None) -> Look:
        first_due: dict[tuple[EndpointId, str], float] = {}
        for dispatch in self._due(inf):
            first_due.setdefault(_key(dispatch.destination), dispatch.due_at or 0.0)
        begin = ("", "") if after is None else _key(after)
        keys = sorted(key for key in first_due if key > begin)
        due = [Destination(*key) for key in keys[:limit] if first_due[key] <= now]
        return Look(due, Destination(*keys[limit - 1]) if len(keys) > limit else None)

    @override
    async def lease(
        self, destination: Destination, *, now: float, limit: int, lease_s: float
    ) -> list[Dispatch]:
        due = [dispatch for dispatch in self._due(now) if dispatch.destination == destination]
        leased = [dispatch.leased(now, lease_s) for dispatch in due[:limit]]
        for dispatch in leased:
            self._put(dispatch)
        return leased

    @override
    async def swap(self, after: Dispatch) -> bool:
        before = self._dispatches.get((after.endpoint, after.event.id))
        if before is None or before.version != after.version - 1:
            return False
        self._put(after)
        return True

    @override
    async def get(self, endpoint: EndpointId, event_id: EventId) -> Dispatch | None:
        return self._dispatches.get((endpoint, event_id))

    @override
    async def find(self, query: DispatchQuery) -> list[Dispatch]:
        newest_first = [
            dispatch
            for dispatch in reversed(self._dispatches.values())
            if dispatch.endpoint == query.endpoint
        ]
        if query.after is not None:
            ids = [dispatch.event.id for dispatch in newest_first]
            newest_first = newest_first[ids.index(query.after) + 1 :]
        return [
            dispatch
            for dispatch in newest_first
            if query.state is None or dispatch.state == query.state
        ][: query.limit]

    @override
    async def untold(self) -> Untold:
        times = [
            dispatch.event.occurred_at
            for dispatch in self._dispatches.values()
            if dispatch.due_at is not None
        ]
        return Untold(len(times), min(times, default=None))

    @override
    async def forget(self, ended_before: float, *, limit: int) -> int:
        ended = [
            key
            for key, dispatch in self._dispatches.items()
            if dispatch.ended_at is not None and dispatch.ended_at < ended_before
        ]
        for key in ended[:limit]:
            del self._dispatches[key]
        return len(ended[:limit])

    def _add(self, event: Event, callback: str | None = None) -> None:
        endpoints = [
            endpoint for endpoint in self.endpoints.values() if endpoint.team == event.team
        ]
        for dispatch in dispatches(event, endpoints, callback):
            self._dispatches.setdefault((dispatch.endpoint, event.id), dispatch)

    def _put(self, dispatch: Dispatch) -> None:
        self._dispatches[dispatch.endpoint, dispatch.event.id] = dispatch

    def _due(self, now: float) -> list[Dispatch]:
        due = [
            dispatch
            for dispatch in self._dispatches.values()
            if dispatch.due_at is not None and dispatch.due_at <= now
        ]
        return sorted(due, key=attrgetter("due_at"))


def _key(destination: Destination) -> tuple[EndpointId, str]:
    return destination.endpoint, destination.origin
