"""The product's own services, put together as `wiring/` does it, in a process that can die."""

import asyncio
from collections.abc import Iterator
from itertools import count

from headpond.adapters.memory.buckets import MemoryBuckets
from headpond.domain.batch import RunnerName
from headpond.domain.catalogue import Catalogue
from headpond.domain.file import BlobName
from headpond.domain.lane import lanes_of
from headpond.domain.public_address import AddressRule
from headpond.domain.retention import rules
from headpond.services.batch_input import BatchInput
from headpond.services.batch_output import BatchOutput
from headpond.services.batch_runner import BatchRunner
from headpond.services.batches import Batches
from headpond.services.body_eraser import BodyEraser
from headpond.services.broadcast import Broadcast
from headpond.services.dead_letters import Triage
from headpond.services.desk import Desk
from headpond.services.duty import Duty
from headpond.services.files import Files
from headpond.services.lost_messages import LostMessages
from headpond.services.playback import Playback
from headpond.services.quotes import Quotes
from headpond.services.rate_limits import RateLimits
from headpond.services.reaper import Reaper
from headpond.services.reporting import Reporter
from headpond.services.submission import Submission
from headpond.services.teller import Teller
from headpond.services.token_forgetter import TokenForgetter
from headpond.services.webhook_sender import WebhookSender
from headpond.services.webhooks import Webhooks
from headpond.services.worker import Worker
from headpond.settings import BatchSettings, LimitSettings, WebhookSettings
from headpond.testing.simulation.archive import archivist_on
from headpond.testing.simulation.connection import Surroundings, connect
from headpond.testing.simulation.engine import EngineLink, SimulatedEngine
from headpond.testing.simulation.processes import Process
from headpond.testing.simulation.sheets import SheetFormat
from headpond.testing.simulation.web import SCHEDULE_S, TIMEOUT_S, WebLink

POOL = "default"
CATALOGUE = Catalogue({POOL: ("model",)})
REAP_EVERY_S = 3.0
ACCEPTED_GRACE_S = 3.0
LOOK_EVERY_S = 6.0
TIDY_EVERY_S = 10.0
ARCHIVE_EVERY_S = 4.0
KEY_TTL_S = 60.0
TELL_EVERY_S = 1.0
DRAIN_S = 1.0
REDRIVES_A_SECOND = 2.0
MAX_LINE_BYTES = 1_000
GROUP_LINES = 2
"""A few lines are many groups then."""

BATCHES = BatchSettings(lease_s=8.0, every_s=1.0)
WEBHOOKS = WebhookSettings(timeout_s=TIMEOUT_S, schedule_s=SCHEDULE_S)


class GatewayPart:
    """A gateway with its duties beside it: those that the world has work for."""

    def __init__(self, around: Surroundings, process: Process) -> None:
        self._around = around
        self._process = process
        self._plan = around.fates.plan
        self._dice = around.fates.dice(f"{process.name} ids")
        self._ports = ports = connect(around, process)
        clock, listener = around.clock, around.listener
        quotes = Quotes(ports.queue, ports.roster, prices={POOL: None}, weights={}, clock=clock)
        self.submission = Submission(
            ports.delivery,
            jobs=ports.jobs,
            pools={POOL: self._plan.pool},
            catalogue=CATALOGUE,
            limits=RateLimits(LimitSettings(), MemoryBuckets(clock)),
            quotes=quotes,
            weights={},
            clock=clock,
            listener=listener,
            idempotency_ttl_s=KEY_TTL_S,
            sdk_retry_window_s=KEY_TTL_S,
            random_bits=self._dice.getrandbits,
        )
        self.desk = Desk(ports.jobs, clock)
        self.playback = Playback(ports.streams, self.desk)
        self.files = Files(
            ports.files,
            ports.blobs,
            ports.batches,
            clock,
            max_team_bytes=BATCHES.max_team_bytes,
            random_bits=self._dice.getrandbits,
        )
        self.batches = Batches(
            ports.batches,
            self.files,
            clock,
            listener,
            max_open=BATCHES.max_open,
            random_bits=self._dice.getrandbits,
        )
        self.triage = Triage(
            ports.dead_letters,
            ports.jobs,
            ports.batches,
            ports.delivery,
            clock,
            max_redrives=self._plan.max_redrives,
            per_second=REDRIVES_A_SECOND,
        )
        rule = AddressRule()
        self._teller = Teller(WebLink(around.web, process), rule, clock)
        self.webhooks = Webhooks(
            ports.endpoints,
            ports.outbox,
            self._teller,
            rule=rule,
            clock=clock,
            random_bytes=self._dice.randbytes,
        )
        self._runner = self._batch_runner()
        self._duties = [*self._duties_about_jobs(quotes), *self._duties_about_the_rest()]

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until asked to stop."""
        for duty in self._duties:
            duty.start()
        await stop.wait()
        self.desk.close()
        for duty in self._duties:
            await duty.stop()
        await self._runner.stop()

    def _duties_about_jobs(self, quotes: Quotes) -> Iterator[Duty]:
        ports, clock, listener = self._ports, self._around.clock, self._around.listener
        reaper = Reaper(
            ports.jobs,
            ports.delivery,
            clock=clock,
            listener=listener,
            accepted_grace_s=ACCEPTED_GRACE_S,
        )
        yield Duty("reaper", reaper.tick, every_s=REAP_EVERY_S, listener=listener)
        yield Duty("quotes", quotes.tick, every_s=LOOK_EVERY_S, listener=listener)
        if self._plan.lossy and ports.open_jobs is not None and ports.lookup is not None:
            lost = LostMessages(ports.open_jobs, ports.lookup, ports.delivery, listener)
            yield Duty("lost messages", lost.tick, every_s=LOOK_EVERY_S, listener=listener)
        archivist = None
        if self._plan.archive:
            archivist = archivist_on(ports.audit, ports.jobs, ports.objects, clock)
            yield Duty("archive", archivist.tick, every_s=ARCHIVE_EVERY_S, listener=listener)
        if self._plan.keep_s is not None:
            eraser = BodyEraser(ports.retention, rules(self._plan.keep_s, {}), clock, archivist)
            yield Duty("old bodies", eraser.tick, every_s=TIDY_EVERY_S, listener=listener)

    def _duties_about_the_rest(self) -> Iterator[Duty | WebhookSender]:
        ports, clock, listener = self._ports, self._around.clock, self._around.listener
        if self._plan.streamed_share:
            forgetter = TokenForgetter(ports.streams, clock=clock, ttl_s=self._plan.stream_ttl_s)
            yield Duty("old tokens", forgetter.tick, every_s=TIDY_EVERY_S, listener=listener)
        if self._plan.batches:
            every_s = BATCHES.every_s
            yield Duty("batches", self._runner.tick, every_s=every_s, listener=listener)
            yield Duty("files", self.files.remove_old, every_s=TIDY_EVERY_S, listener=listener)
        if self._plan.webhooks:
            yield WebhookSender(
                ports.outbox,
                ports.endpoints,
                self.webhooks,
                self._teller,
                settings=WEBHOOKS,
                clock=clock,
                listener=listener,
                look_every_s=TELL_EVERY_S,
                chance=self._around.fates.dice(f"{self._process.name} jitter").random,
            )

    def _batch_runner(self) -> BatchRunner:
        ports, clock, form = self._ports, self._around.clock, SheetFormat()
        source = BatchInput(
            ports.files,
            ports.blobs,
            self.submission,
            form=form,
            clock=clock,
            max_line_bytes=MAX_LINE_BYTES,
            group_lines=GROUP_LINES,
        )
        numbers = count(1)
        output = BatchOutput(
            source,
            ports.lines,
            ports.files,
            ports.blobs,
            form=form,
            clock=clock,
            new_name=lambda: BlobName(f"results-{self._process.name}-{next(numbers)}"),
        )
        return BatchRunner(
            ports.batches,
            ports.lines,
            ports.jobs,
            source=source,
            output=output,
            submission=self.submission,
            name=RunnerName(self._process.name),
            clock=clock,
            listener=self._around.listener,
            settings=BATCHES,
        )


class WorkerPart:
    """A worker at its engine."""

    def __init__(self, around: Surroundings, engine: SimulatedEngine, process: Process) -> None:
        fates, clock = around.fates, around.clock
        ports = connect(around, process, spared=fates.plan.workers_spared)
        reporter = Reporter(ports.roster, clock, worker=process.name, pool=POOL)
        listener = Broadcast((around.listener, reporter))
        self._duty = Duty("report", reporter.tick, every_s=LOOK_EVERY_S, listener=listener)
        self._worker = Worker(
            ports.delivery,
            EngineLink(engine, process),
            streams=ports.streams,
            name=process.name,
            lanes=lanes_of(POOL),
            settings=fates.plan.pool,
            clock=clock,
            listener=listener,
            chance=fates.dice(f"{process.name} jitter").random,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Work until asked to stop, or until the worker gives up."""
        self._duty.start()
        self._worker.start()
        waits = [asyncio.create_task(event.wait()) for event in (stop, self._worker.gave_up)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        await self._worker.stop(DRAIN_S)
        await self._duty.stop()
