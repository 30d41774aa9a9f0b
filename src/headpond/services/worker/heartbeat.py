"""The heartbeat: renews the leases of all that a worker has in its hands."""

from headpond.domain.facts import ClaimLost
from headpond.ports.delivery import Delivery
from headpond.ports.events import Listener
from headpond.services.worker.in_flight import InFlight
from headpond.services.worker.isolation import Isolation
from headpond.services.worker.recall import Recall
from headpond.services.worker.settling import Settling


class Heartbeat:
    """One per worker."""

    def __init__(
        self,
        delivery: Delivery,
        *,
        flight: InFlight,
        isolation: Isolation,
        recall: Recall,
        settling: Settling,
        listener: Listener,
    ) -> None:
        self._delivery = delivery
        self._flight = flight
        self._isolation = isolation
        self._recall = recall
        self._settling = settling
        self._listener = listener

    async def tick(self) -> None:
        """Renew them. The work of a claim that fell is dropped: it may run elsewhere.

        What is being settled finds out by itself.
        """
        ours = [*self._flight.claims, *self._isolation.waiting, *self._recall.waiting]
        claims = [*ours, *self._settling.claims]
        if not claims:
            return
        kept = {claim.lease.token for claim in await self._delivery.renew(claims)}
        for claim in ours:
            if claim.lease.token in kept or self._flight.abort(claim):
                continue
            if self._isolation.dropped(claim) or self._recall.dropped(claim):
                self._listener.hear(ClaimLost(claim.job.id))
