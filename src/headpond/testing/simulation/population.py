"""Everybody in a world: what runs inside of the product, and who asks it from outside."""

from dataclasses import dataclass
from functools import partial

from headpond.testing.simulation.asking import Outside
from headpond.testing.simulation.batch_ledger import BatchLedger
from headpond.testing.simulation.batchers import Batcher
from headpond.testing.simulation.clients import Client
from headpond.testing.simulation.connection import Surroundings
from headpond.testing.simulation.engine import SimulatedEngine
from headpond.testing.simulation.hosts import Host
from headpond.testing.simulation.ledger import Ledger
from headpond.testing.simulation.operators import Operator, Subscriber
from headpond.testing.simulation.parts import GatewayPart, WorkerPart
from headpond.testing.simulation.plan import TEAMS, Fault


@dataclass(frozen=True, kw_only=True)
class Population:
    """Of one world, as its plan wants it."""

    engines: list[SimulatedEngine]
    gateways: list[Host[GatewayPart]]
    workers: list[Host[WorkerPart]]
    clients: list[Client]
    batchers: list[Batcher]
    subscribers: list[Subscriber]
    operator: Operator

    @property
    def hosts(self) -> list[Host[GatewayPart] | Host[WorkerPart]]:
        """Where processes run."""
        return [*self.workers, *self.gateways]

    @property
    def askers(self) -> list[Client | Batcher | Subscriber | Operator]:
        """Everybody who asks gateways."""
        return [*self.clients, *self.subscribers, *self.batchers, self.operator]


def populate(around: Surroundings, ledger: Ledger, batch_ledger: BatchLedger) -> Population:
    """Nobody does anything yet. What clients are told goes into the ledgers."""
    fates, plan = around.fates, around.fates.plan
    engines = [
        SimulatedEngine(f"engine-{number}", fates)
        for number in range(1 if plan.shared_engine else plan.workers)
    ]
    gateways = [
        Host(f"gateway-{number}", fates, partial(GatewayPart, around), dies_of=Fault.GATEWAY_KILLED)
        for number in range(plan.gateways)
    ]
    workers = [
        Host(
            f"worker-{number}",
            fates,
            partial(WorkerPart, around, engines[number % len(engines)]),
            dies_of=Fault.WORKER_KILLED,
        )
        for number in range(plan.workers)
    ]
    outside = Outside(fates, around.clock, gateways)
    return Population(
        engines=engines,
        gateways=gateways,
        workers=workers,
        clients=[Client(number, outside, ledger) for number in range(plan.clients)],
        batchers=[Batcher(team, outside, batch_ledger) for team in TEAMS if plan.batches],
        subscribers=[Subscriber(team, outside, around.web) for team in TEAMS if plan.webhooks],
        operator=Operator("operator", "operators", outside),
    )
