"""The endpoints of webhooks."""

from typing import Protocol

from headpond.domain.webhook_endpoint import Endpoint, EndpointId


class EndpointStore(Protocol):
    """Endpoints under compare-and-set. Every verb takes effect durably before it returns."""

    async def add(self, endpoint: Endpoint) -> bool:
        """Store a new endpoint iff there is none of its id; False if there is."""
        ...

    async def get(self, endpoint_id: EndpointId) -> Endpoint | None:
        """The endpoint as it stands, None if there is none."""
        ...

    async def of_team(self, team: str) -> list[Endpoint]:
        """A team's endpoints, oldest first."""
        ...

    async def swap(self, after: Endpoint) -> bool:
        """Replace the endpoint iff the stored version is `after.version - 1`; False if not."""
        ...

    async def remove(self, endpoint_id: EndpointId) -> bool:
        """Remove the endpoint with everything that was on its way to it; False if none."""
        ...
