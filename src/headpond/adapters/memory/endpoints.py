"""Endpoints of webhooks in this process's memory."""

from operator import attrgetter

from typing_extensions import override

from headpond.adapters.memory.outbox import MemoryOutbox
from headpond.domain.webhook_endpoint import Endpoint, EndpointId
from headpond.ports.endpoints import EndpointStore


class MemoryEndpointStore(EndpointStore):
    """Those that the outbox tells. Nothing survives the process."""

    def __init__(self, outbox: MemoryOutbox) -> None:
        self._outbox = outbox
        self._endpoints = outbox.endpoints

    @override
    async def add(self, endpoint: Endpoint) -> bool:
        return self._endpoints.setdefault(endpoint.id, endpoint) is endpoint

    @override
    async def get(self, endpoint_id: EndpointId) -> Endpoint | None:
        return self._endpoints.get(endpoint_id)

    @override
    async def of_team(self, team: str) -> list[Endpoint]:
        endpoints = [endpoint for endpoint in self._endpoints.values() if endpoint.team == team]
        return sorted(endpoints, key=attrgetter("created_at"))

    @override
    async def swap(self, after: Endpoint) -> bool:
        before = self._endpoints.get(after.id)
        if before is None or before.version != after.version - 1:
            return False
        self._endpoints[after.id] = after
        return True

    @override
    async def remove(self, endpoint_id: EndpointId) -> bool:
        self._outbox.remove(endpoint_id)
        return self._endpoints.pop(endpoint_id, None) is not None
