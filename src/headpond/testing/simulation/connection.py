"""How one process reaches the store: every port of it, behind the same line."""

from collections.abc import Callable
from dataclasses import dataclass

from headpond.adapters.memory.objects import MemoryObjects
from headpond.domain.job import Ticket
from headpond.ports.audit import Audit
from headpond.ports.batches import BatchLines, BatchStore
from headpond.ports.blobs import Blobs
from headpond.ports.clock import Clock
from headpond.ports.dead_letters import DeadLetters
from headpond.ports.delivery import Delivery
from headpond.ports.endpoints import EndpointStore
from headpond.ports.events import Listener
from headpond.ports.files import FileStore
from headpond.ports.jobs import JobStore, OpenJobs
from headpond.ports.objects import ObjectStore
from headpond.ports.outbox import Outbox
from headpond.ports.queue import MessageLookup, Queue
from headpond.ports.retention import Retention
from headpond.ports.roster import Roster
from headpond.ports.streams import TokenStreams
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.testing.faults import behind
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.line import StoreLine
from headpond.testing.simulation.processes import Process
from headpond.testing.simulation.stores import Store
from headpond.testing.simulation.web import Web
from headpond.testing.simulation.witness import Witness, WitnessedDelivery, WitnessedQueue


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What every process of a world finds."""

    fates: Fates
    clock: Clock
    store: Store
    objects: MemoryObjects
    witness: Witness
    web: Web
    listener: Listener
    new_ticket: Callable[[], Ticket]


@dataclass(frozen=True, kw_only=True)
class Ports:
    """The store and the archive as one process reaches them."""

    jobs: JobStore
    audit: Audit
    objects: ObjectStore
    queue: Queue
    roster: Roster
    streams: TokenStreams
    dead_letters: DeadLetters
    retention: Retention
    batches: BatchStore
    lines: BatchLines
    files: FileStore
    blobs: Blobs
    endpoints: EndpointStore
    outbox: Outbox
    delivery: Delivery
    open_jobs: OpenJobs | None
    lookup: MessageLookup | None


def connect(around: Surroundings, process: Process, *, spared: bool = False) -> Ports:
    """A line to the store; nothing goes wrong on it if it is `spared`."""
    store, witness, pool = around.store, around.witness, around.fates.plan.pool
    dice = around.fates.dice(f"{process.name} line")
    line = StoreLine(process, around.fates, dice, spared=spared)
    jobs = behind(store.jobs, line)
    queue = behind(WitnessedQueue(store.queue, witness), line)
    if store.delivery is not None:
        delivery = behind(WitnessedDelivery(store.delivery, witness), line)
    else:
        delivery = TwoStepDelivery(
            jobs,
            queue,
            clock=around.clock,
            new_ticket=around.new_ticket,
            lease_s=pool.lease_s,
            max_lost_leases=pool.retry.max_lost_leases,
        )
    return Ports(
        jobs=jobs,
        audit=behind(store.audit, line),
        objects=behind(around.objects, line),
        queue=queue,
        roster=behind(store.roster, line),
        streams=behind(store.streams, line),
        dead_letters=behind(store.dead_letters, line),
        retention=behind(store.retention, line),
        batches=behind(store.batches, line),
        lines=behind(store.lines, line),
        files=behind(store.files, line),
        blobs=behind(store.blobs, line),
        endpoints=behind(store.endpoints, line),
        outbox=behind(store.outbox, line),
        delivery=delivery,
        open_jobs=None if store.open_jobs is None else behind(store.open_jobs, line),
        lookup=None if store.lookup is None else behind(store.lookup, line),
    )
