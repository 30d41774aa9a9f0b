"""Clients: they order, cancel now and then, wait for the end, and read the result."""

import asyncio
import contextlib
from functools import partial
from operator import itemgetter

import msgspec
from msgspec.structs import replace

from headpond.domain.job import Job, JobId, JobState
from headpond.domain.lane import Priority
from headpond.errors import InvalidRequest, NotFound
from headpond.services.submission import Order
from headpond.testing.simulation.asking import AGAIN_S, PATIENCE_S, Asker, NoAnswer, Outside
from headpond.testing.simulation.engine import Prompt
from headpond.testing.simulation.ledger import Ledger
from headpond.testing.simulation.parts import KEY_TTL_S, GatewayPart
from headpond.testing.simulation.plan import TEAMS, Fault
from headpond.testing.simulation.reader import Reader
from headpond.testing.simulation.web import callback

HELD_S = 5.0
MARGIN_S = 5.0
GONE = 410


def _named(order: Order, name: str, *, poison: bool) -> Order:
    request = msgspec.json.encode(Prompt(name, poison))
    return replace(order, request=request, metadata={"order": name}, fingerprint=name)


class Client(Asker):
    """`number` tells it from the others, `reader` follows the streams of its jobs."""

    def __init__(self, number: int, outside: Outside, ledger: Ledger) -> None:
        self._pair, team = divmod(number, len(TEAMS))
        super().__init__(f"client-{number}", TEAMS[team], outside)
        self.keyed: set[str] = set()
        self._sent: list[tuple[Order, float]] = []  # and when to send them again
        self._twins: list[asyncio.Task[None]] = []
        self._reader = Reader(f"reader-{number}", TEAMS[team], outside)
        self._ledger = ledger

    async def run(self) -> None:
        """Place the orders of the plan and see each to its end."""
        orders: list[asyncio.Task[None]] = []
        for number in range(self._plan.orders):
            await asyncio.sleep(self._dice.choice((0.0, 0.5, 2.0, 5.0)))
            orders.append(asyncio.create_task(self._order(number)))
        await asyncio.gather(*orders)
        await asyncio.gather(*self._twins)

    async def send_again(self) -> None:
        """Send the orders again that had a key, each shortly before the key is forgotten."""
        for order, at in sorted(self._sent, key=itemgetter(1)):
            left_s = at - self._clock.now()
            if left_s > 0:
                await asyncio.sleep(left_s)
                job = await self.insist(partial(self._submit, order))
                if job is not None:
                    self._received(order, job)

    async def _order(self, number: int) -> None:
        deadline_s = self._dice.choice((1.0, 4.0, 10.0)) if self.chance(0.15) else None
        order = Order(
            request=b"",
            prompt_chars=10,
            priority=self._dice.choice(tuple(Priority)),
            deadline=None if deadline_s is None else self._clock.now() + deadline_s,
            # Two teams use the same keys.
            idempotency_key=f"{self._pair}/{number}" if self.chance(0.7) else None,
            callback=callback(self.identity.team) if self._calls_back() else None,
            stream=self.chance(self._plan.streamed_share),
        )
        job = await self._place(order, f"{self.name}/{number}")
        if job is None:
            return
        if self.chance(0.15):
            await asyncio.sleep(self._dice.choice((0.0, 1.0, 4.0)))
            await self._cancel(job.id)
        reading = asyncio.create_task(self._reader.read(job))
        await self._see_to_its_end(job.id)
        await reading
        await self._collect(job.id)

    def _calls_back(self) -> bool:
        return self._plan.webhooks and self.chance(0.3)

    async def _place(self, order: Order, name: str) -> Job | None:
        """The job that stands for the order, None if no gateway took it."""
        began = self._clock.now()
        poison = self._fates.strikes(Fault.POISON, self._dice, times=5)
        if order.idempotency_key is not None:
            self.keyed.add(name)
            order = _named(order, name, poison=poison)
            if self.chance(0.1):
                self._twins.append(asyncio.create_task(self._send_once(order)))
        tries = 0
        while self._clock.now() < began + PATIENCE_S:
            tries += 1
            if order.idempotency_key is None:
                # Nothing says that two such requests are one: each may become a job.
                order = _named(order, f"{name} try {tries}", poison=poison)
            try:
                job = await self.ask(partial(self._submit, order))
            except NoAnswer:
                await asyncio.sleep(self._dice.choice(AGAIN_S))
            except InvalidRequest as error:
                if not error.code.startswith("deadline_"):
                    self._fates.violated(f"{name} was refused: {error}")
                return None
            else:
                self._received(order, job)
                if order.idempotency_key is not None:
                    forgotten_at = began + KEY_TTL_S - self._plan.skew_s
                    self._sent.append((order, forgotten_at - MARGIN_S))
                return job
        return None

    async def _send_once(self, order: Order) -> None:
        """As an impatient client does that does not wait for the first answer."""
        with contextlib.suppress(NoAnswer, InvalidRequest):
            self._received(order, await self.ask(partial(self._submit, order)))

    def _received(self, order: Order, job: Job) -> None:
        keyed = order.idempotency_key is not None
        self._ledger.receipt(order.fingerprint, job.id, keyed=keyed)
        self._ledger.saw(job)

    async def _submit(self, order: Order, gateway: GatewayPart) -> Job:
        receipt = await gateway.submission.submit(order, self.identity)
        return receipt.job

    async def _cancel(self, job_id: JobId) -> None:
        try:
            job = await self.insist(lambda gateway: gateway.desk.cancel(job_id, self.identity))
        except InvalidRequest:  # it has ended
            return
        if job is not None:
            self._ledger.saw(job)

    async def _see_to_its_end(self, job_id: JobId) -> None:
        while True:
            job = await self.insist(lambda gateway: self._held(gateway, job_id))
            if job is not None:
                self._ledger.saw(job)
                if job.state.terminal:
                    return

    async def _held(self, gateway: GatewayPart, job_id: JobId) -> Job:
        job = await gateway.desk.job(job_id, self.identity)
        return await gateway.desk.ended(job, HELD_S)

    async def _collect(self, job_id: JobId) -> None:
        """Read the result, and have it erased now and then: then nobody can read it any more."""
        await self._read_result(job_id)
        if not self.chance(0.1):
            return
        self._ledger.erased_on_request.add(job_id)
        try:
            erased = await self.insist(lambda gateway: gateway.desk.erase(job_id, self.identity))
        except InvalidRequest:  # it was redriven
            return
        if erased is not None and await self._read_result(job_id):
            self._fates.violated(f"{job_id} was erased, and its result is there")

    async def _read_result(self, job_id: JobId) -> bool | None:
        """Whether the bodies are there, None if nobody answers."""
        try:
            found = await self.insist(lambda gateway: self._bodies(gateway, job_id))
        except NotFound as error:
            if error.status != GONE:
                self._fates.violated(f"{job_id} was not found: {error}")
            return False
        if found is None:
            return None
        job, response = found
        if job.state is JobState.SUCCEEDED:
            self._ledger.answered(job, response)
        return True

    async def _bodies(self, gateway: GatewayPart, job_id: JobId) -> tuple[Job, bytes | None]:
        job = await gateway.desk.job(job_id, self.identity)
        bodies = await gateway.desk.bodies(job)
        return job, bodies.response
