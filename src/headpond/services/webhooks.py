"""Webhooks, for the teams that have them: endpoints, secrets, deliveries."""

import secrets
from collections.abc import Callable, Sequence

from headpond.domain.dispatch import Dispatch, DispatchState, Replied
from headpond.domain.identity import time_ordered_id
from headpond.domain.public_address import AddressRule
from headpond.domain.webhook_endpoint import Endpoint, EndpointId, Signer, callbacks_of
from headpond.domain.webhook_event import EventId, EventType, event
from headpond.domain.webhook_signature import SECRET_BYTES, Secret, secret_of
from headpond.errors import InvalidRequest, NotFound
from headpond.ports.clock import Clock
from headpond.ports.endpoints import EndpointStore
from headpond.ports.outbox import DispatchQuery, Outbox
from headpond.services.teller import Teller

CALLBACKS = "callbacks"
"""What a team calls its endpoint for the callbacks of jobs."""

MAX_ENDPOINTS = 16
"""A team's; each multiplies the events of the team."""

MAX_NAME_CHARS = 256
OVERLAP_S = 86_400.0
PAGE = 100


class Webhooks:
    """A team sees its own endpoints; another team's and none look the same: NotFound."""

    def __init__(
        self,
        endpoints: EndpointStore,
        outbox: Outbox,
        teller: Teller,
        *,
        rule: AddressRule,
        clock: Clock,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._endpoints = endpoints
        self._outbox = outbox
        self._teller = teller
        self._rule = rule
        self._clock = clock
        self._random_bytes = random_bytes

    async def create(
        self, team: str, *, url: str, event_types: Sequence[EventType], name: str = ""
    ) -> Endpoint:
        """A new endpoint with a secret of its own. Raises InvalidRequest."""
        self.check_url(url, "url")
        types = _checked(event_types)
        _check_name(name)
        # Two at one moment may pass: the bound is there for the sender's sake, not for a bill.
        if len(await self.all(team)) >= MAX_ENDPOINTS:
            message = f"A team has at most {MAX_ENDPOINTS} endpoints; remove one."
            raise InvalidRequest(message, code="too_many_endpoints")
        now = self._clock.now()
        name_bits = int.from_bytes(self._random_bytes(10))
        endpoint = Endpoint(
            id=EndpointId("we_" + time_ordered_id(now, name_bits)),
            team=team,
            name=name,
            url=url,
            event_types=types,
            signers=(Signer(self._new_secret()),),
            created_at=now,
        )
        await self._endpoints.add(endpoint)
        return endpoint

    async def all(self, team: str) -> list[Endpoint]:
        """The team's endpoints, oldest first; that for callbacks is not among them."""
        endpoints = await self._endpoints.of_team(team)
        return [endpoint for endpoint in endpoints if endpoint.url is not None]

    async def endpoint(self, team: str, endpoint_id: str) -> Endpoint:
        """The endpoint as it stands; that for callbacks is made if need be. Raises NotFound."""
        if endpoint_id == CALLBACKS:
            return await self.callbacks(team)
        endpoint = await self._endpoints.get(EndpointId(endpoint_id))
        if endpoint is None or endpoint.team != team or endpoint.url is None:
            message = f"There is no webhook endpoint {endpoint_id[:64]!r}."
            raise NotFound(message, code="webhook_endpoint_not_found", param="id")
        return endpoint

    async def callbacks(self, team: str) -> Endpoint:
        """The team's endpoint for callbacks, made if need be; its secret is had by rotating."""
        endpoint_id = callbacks_of(team)
        while True:
            endpoint = await self._endpoints.get(endpoint_id)
            if endpoint is not None:
                return endpoint
            await self._endpoints.add(
                Endpoint(
                    id=endpoint_id,
                    team=team,
                    signers=(Signer(self._new_secret()),),
                    created_at=self._clock.now(),
                )
            )

    async def update(
        self,
        team: str,
        endpoint_id: str,
        *,
        name: str | None = None,
        url: str | None = None,
        event_types: Sequence[EventType] | None = None,
    ) -> Endpoint:
        """Change what is not None, and enable the endpoint. Raises NotFound, InvalidRequest."""
        if url is not None:
            self.check_url(url, "url")
        if name is not None:
            _check_name(name)
        types = None if event_types is None else _checked(event_types)

        def change(endpoint: Endpoint) -> Endpoint:
            _own_url(endpoint)
            return endpoint.updated(name=name, url=url, event_types=types)

        return await self._change(team, endpoint_id, change)

    async def rotate(
        self, team: str, endpoint_id: str, *, overlap_s: float = OVERLAP_S
    ) -> Endpoint:
        """Give it a new secret; the old one signs too for `overlap_s`. Raises NotFound."""
        secret = self._new_secret()
        now = self._clock.now()
        return await self._change(
            team, endpoint_id, lambda endpoint: endpoint.rotated(secret, now, overlap_s=overlap_s)
        )

    async def remove(self, team: str, endpoint_id: str) -> None:
        """Remove the endpoint and what was on its way to it. Raises NotFound, InvalidRequest."""
        endpoint = await self.endpoint(team, endpoint_id)
        _own_url(endpoint)
        await self._endpoints.remove(endpoint.id)

    async def deliveries(
        self,
        team: str,
        endpoint_id: str,
        *,
        state: DispatchState | None = None,
        after: str | None = None,
        limit: int = 20,
    ) -> list[Dispatch]:
        """What went or is to go there, newest first. Raises NotFound."""
        endpoint = await self.endpoint(team, endpoint_id)
        if after is not None:
            await self._dispatch(endpoint, after)
        return await self._outbox.find(
            DispatchQuery(
                endpoint=endpoint.id,
                state=state,
                after=None if after is None else EventId(after),
                limit=limit,
            )
        )

    async def redeliver(self, team: str, endpoint_id: str, event_id: str | None = None) -> int:
        """Send one event again, or all that were given up; returns how many. Raises NotFound.

        They go under their old ids. One that is under way already stays so.
        """
        endpoint = await self.endpoint(team, endpoint_id)
        if event_id is not None:
            return await self._again([await self._dispatch(endpoint, event_id)])
        count, after = 0, None
        while True:
            query = DispatchQuery(
                endpoint=endpoint.id, state=DispatchState.FAILED, after=after, limit=PAGE
            )
            failed = await self._outbox.find(query)
            count += await self._again(failed)
            if len(failed) < PAGE:
                return count
            after = failed[-1].event.id

    async def test(self, team: str, endpoint_id: str, kind: EventType) -> int:
        """Send a sample now, once; the status that came back. Raises NotFound, InvalidRequest."""
        endpoint = await self.endpoint(team, endpoint_id)
        url = _own_url(endpoint)
        now = self._clock.now()
        name = time_ordered_id(now, int.from_bytes(self._random_bytes(10)))
        data = {"id": f"{kind.partition('.')[0]}_test", "test": True}
        sample = event(EventId(f"msg_{name}"), kind, team=team, occurred_at=now, data=data)
        reaction = await self._teller.tell(endpoint, sample, url)
        if isinstance(reaction, Replied):
            return reaction.status
        message = f"The endpoint could not be reached: {reaction.reason}"
        raise InvalidRequest(message, code="webhook_unreached")

    def check_url(self, url: str, param: str) -> None:
        """Raises InvalidRequest for a URL that webhooks may not go to."""
        fault = self._rule.url_fault(url)
        if fault is not None:
            raise InvalidRequest(fault, code="webhook_url_refused", param=param)

    async def _change(
        self, team: str, endpoint_id: str, change: Callable[[Endpoint], Endpoint]
    ) -> Endpoint:
        while True:
            after = change(await self.endpoint(team, endpoint_id))
            if await self._endpoints.swap(after):
                return after

    async def _dispatch(self, endpoint: Endpoint, event_id: str) -> Dispatch:
        found = await self._outbox.get(endpoint.id, EventId(event_id))
        if found is None:
            message = f"Nothing with the id {event_id[:64]!r} went there, or it is forgotten."
            raise NotFound(message, code="webhook_delivery_not_found")
        return found

    async def _again(self, dispatches: Sequence[Dispatch]) -> int:
        now = self._clock.now()
        swapped = [
            await self._outbox.swap(dispatch.redelivered(now))
            for dispatch in dispatches
            if dispatch.ended_at is not None
        ]
        return sum(swapped)

    def _new_secret(self) -> Secret:
        return secret_of(self._random_bytes(SECRET_BYTES))


def _own_url(endpoint: Endpoint) -> str:
    """The endpoint's URL. Raises InvalidRequest for that of callbacks, which has none."""
    if endpoint.url is None:
        message = "The endpoint for callbacks has no URL; its secret can be rotated."
        raise InvalidRequest(message, code="not_for_callbacks", param="id")
    return endpoint.url


def _checked(event_types: Sequence[EventType]) -> tuple[EventType, ...]:
    """Each type once. Raises InvalidRequest for none at all."""
    if not event_types:
        message = "Name at least one event type."
        raise InvalidRequest(message, code="invalid_value", param="event_types")
    return tuple(dict.fromkeys(event_types))


def _check_name(name: str) -> None:
    if len(name) > MAX_NAME_CHARS or not name.isprintable():
        message = f"A name has at most {MAX_NAME_CHARS} printable characters."
        raise InvalidRequest(message, code="invalid_value", param="name")
