"""One attempt to tell an endpoint of an event: address, signature, POST."""

from headpond.domain.dispatch import Reaction, Unreached
from headpond.domain.public_address import AddressRule
from headpond.domain.webhook_endpoint import Endpoint
from headpond.domain.webhook_event import Event
from headpond.domain.webhook_signature import signed_headers
from headpond.ports.clock import Clock
from headpond.ports.receiver import Receiver


class Teller:
    """Signs with the endpoint's secrets as they are at this moment."""

    def __init__(self, receiver: Receiver, rule: AddressRule, clock: Clock) -> None:
        self._receiver = receiver
        self._rule = rule
        self._clock = clock

    async def tell(self, endpoint: Endpoint, event: Event, url: str) -> Reaction:
        """Send it to `url`, the endpoint's own or a callback, if that is allowed now."""
        fault = self._rule.url_fault(url)
        if fault is not None:
            return Unreached(fault)
        now = self._clock.now()
        body = event.body.encode()
        headers = signed_headers(event.id, int(now), body, endpoint.secrets(now))
        return await self._receiver.post(url, headers, body)
