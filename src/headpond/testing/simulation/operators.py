"""Who looks after things: an operator at the dead letters, and whoever has a team's endpoints."""

import asyncio

from headpond.domain.public_address import AddressRule
from headpond.domain.webhook_endpoint import EndpointId
from headpond.errors import NotFound
from headpond.ports.clock import Clock
from headpond.services.dead_letters import Selection
from headpond.services.teller import Teller
from headpond.services.webhooks import Webhooks
from headpond.testing.simulation.asking import Asker, NoAnswer, Outside
from headpond.testing.simulation.parts import GatewayPart
from headpond.testing.simulation.stores import Store
from headpond.testing.simulation.web import EVERYTHING, NoWeb, Web, fickle, well

DISCARDS = 0.2
ROTATES, ENABLES, REMOVES = 0.4, 0.6, 0.1


class Operator(Asker):
    """Redrives dead letters now and then, and gives some up."""

    async def run(self) -> None:
        """Look as often as the plan says."""
        for _ in range(self._plan.redrives):
            await asyncio.sleep(self._dice.choice((6.0, 12.0, 20.0)))
            try:
                await self.ask(self._triage)
            except NoAnswer:
                continue

    async def _triage(self, gateway: GatewayPart) -> None:
        if self.chance(DISCARDS):
            await gateway.triage.discard(Selection())
        else:
            await gateway.triage.redrive(Selection())


class Subscriber(Asker):
    """Has an endpoint that is never touched but for its secret, and a fickle one."""

    def __init__(self, team: str, outside: Outside, web: Web) -> None:
        super().__init__(f"subscriber-{team}", team, outside)
        self._web = web
        self._well = self._fickle = EndpointId("")

    async def set_up(self, store: Store, clock: Clock) -> None:
        """Make the endpoints, before anything happens."""
        rule = AddressRule()
        webhooks = Webhooks(
            store.endpoints,
            store.outbox,
            Teller(NoWeb(), rule, clock),
            rule=rule,
            clock=clock,
            random_bytes=self._dice.randbytes,
        )
        team = self.identity.team
        self._well = (await webhooks.create(team, url=well(team), event_types=EVERYTHING)).id
        self._fickle = (await webhooks.create(team, url=fickle(team), event_types=EVERYTHING)).id

    async def run(self) -> None:
        """Turn to the endpoints a few times."""
        for _ in range(4):
            await asyncio.sleep(self._dice.choice((3.0, 8.0, 15.0)))
            if self.chance(ROTATES):
                await self.insist(
                    lambda gateway: gateway.webhooks.rotate(self.identity.team, self._well)
                )
            try:
                await self._turn_to_the_fickle_one()
            except NotFound:  # it was removed
                return

    async def _turn_to_the_fickle_one(self) -> None:
        team = self.identity.team
        if self.chance(REMOVES):
            await self.insist(lambda gateway: gateway.webhooks.remove(team, self._fickle))
        elif fickle(team) in self._web.gone and self.chance(ENABLES):
            self._web.back(fickle(team))
            await self.insist(
                lambda gateway: gateway.webhooks.update(team, self._fickle, url=fickle(team))
            )
