"""Clients: they order, ask again when no answer comes, cancel now and then, and wait for the end.

They do not die, and do not believe that silence means no.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from operator import itemgetter
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from headpond.domain.identity import Identity
from headpond.domain.job import Job, JobId
from headpond.domain.lane import Priority
from headpond.errors import InvalidRequest, TryLater
from headpond.ports.clock import Clock
from headpond.services.submission import Order
from headpond.testing.simulation.engine import Prompt
from headpond.testing.simulation.fates import Fates
from headpond.testing.simulation.hosts import Host
from headpond.testing.simulation.ledger import Ledger
from headpond.testing.simulation.parts import KEY_TTL_S, GatewayPart
from headpond.testing.simulation.plan import Fault
from headpond.testing.simulation.processes import ConnectionLost

T = TypeVar("T")

PATIENCE_S = 20.0
"""How long a client keeps sending one order."""

ANSWER_S = 8.0
AGAIN_S = (0.1, 1.0, 2.0)
HELD_S = 5.0
MARGIN_S = 5.0
TEAMS = ("one", "two")


def _named(order: Order, name: str, *, poison: bool) -> Order:
    request = msgspec.json.encode(Prompt(name, poison))
    return replace(order, request=request, metadata={"order": name}, fingerprint=name)


class NoAnswer(Exception):
    """Whether the request took effect is not known."""


class Client:
    """`number` tells it from the others."""

    def __init__(
        self,
        number: int,
        gateways: Sequence[Host[GatewayPart]],
        *,
        fates: Fates,
        clock: Clock,
        ledger: Ledger,
    ) -> None:
        self.keyed: set[str] = set()
        self._sent: list[tuple[Order, float]] = []  # and when to send them again
        self._twins: list[asyncio.Task[None]] = []
        self._name = f"client-{number}"
        self._pair, team = divmod(number, len(TEAMS))
        self._identity = Identity(TEAMS[team])
        self._gateways = gateways
        self._fates = fates
        self._dice: random.Random = fates.dice(self._name)
        self._clock = clock
        self._ledger = ledger

    async def run(self) -> None:
        """Place the orders of the plan and see each to its end."""
        orders: list[asyncio.Task[None]] = []
        for number in range(self._fates.plan.orders):
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
                job = await self._insist(partial(self._submit, order))
                if job is not None:
                    self._received(order, job)

    async def _order(self, number: int) -> None:
        deadline_s = self._dice.choice((1.0, 4.0, 10.0)) if self._dice.random() < 0.15 else None
        order = Order(
            request=b"",
            prompt_chars=10,
            priority=self._dice.choice(tuple(Priority)),
            deadline=None if deadline_s is None else self._clock.now() + deadline_s,
            # Two teams use the same keys.
            idempotency_key=f"{self._pair}/{number}" if self._dice.random() < 0.7 else None,
        )
        job = await self._place(order, f"{self._name}/{number}")
        if job is None:
            return
        if self._dice.random() < 0.15:
            await asyncio.sleep(self._dice.choice((0.0, 1.0, 4.0)))
            await self._cancel(job.id)
        await self._see_to_its_end(job.id)

    async def _place(self, order: Order, name: str) -> Job | None:
        """The job that stands for the order, None if no gateway took it."""
        began = self._clock.now()
        poison = self._fates.strikes(Fault.POISON, self._dice, times=5)
        if order.idempotency_key is not None:
            self.keyed.add(name)
            order = _named(order, name, poison=poison)
            if self._dice.random() < 0.1:
                self._twins.append(asyncio.create_task(self._send_once(order)))
        tries = 0
        while self._clock.now() < began + PATIENCE_S:
            tries += 1
            if order.idempotency_key is None:
                # Nothing says that two such requests are one: each may become a job.
                order = _named(order, f"{name} try {tries}", poison=poison)
            try:
                job = await self._ask(partial(self._submit, order))
            except NoAnswer:
                await asyncio.sleep(self._dice.choice(AGAIN_S))
            except InvalidRequest as error:
                if not error.code.startswith("deadline_"):
                    self._fates.violated(f"{name} was refused: {error}")
                return None
            else:
                self._received(order, job)
                if order.idempotency_key is not None:
                    forgotten_at = began + KEY_TTL_S - self._fates.plan.skew_s
                    self._sent.append((order, forgotten_at - MARGIN_S))
                return job
        return None

    async def _send_once(self, order: Order) -> None:
        """As an impatient client does that does not wait for the first answer."""
        with contextlib.suppress(NoAnswer, InvalidRequest):
            self._received(order, await self._ask(partial(self._submit, order)))

    def _received(self, order: Order, job: Job) -> None:
        keyed = order.idempotency_key is not None
        self._ledger.receipt(order.fingerprint, job.id, keyed=keyed)
        self._ledger.saw(job)

    async def _submit(self, order: Order, gateway: GatewayPart) -> Job:
        receipt = await gateway.submission.submit(order, self._identity)
        return receipt.job

    async def _cancel(self, job_id: JobId) -> None:
        try:
            job = await self._insist(lambda gateway: gateway.desk.cancel(job_id, self._identity))
        except InvalidRequest:  # it has ended
            return
        if job is not None:
            self._ledger.saw(job)

    async def _see_to_its_end(self, job_id: JobId) -> None:
        while True:
            job = await self._insist(lambda gateway: self._held(gateway, job_id))
            if job is not None:
                self._ledger.saw(job)
                if job.state.terminal:
                    return

    async def _held(self, gateway: GatewayPart, job_id: JobId) -> Job:
        job = await gateway.desk.job(job_id, self._identity)
        return await gateway.desk.ended(job, HELD_S)

    async def _insist(
        self, request: Callable[[GatewayPart], Coroutine[object, object, T]]
    ) -> T | None:
        """Ask until there is an answer; None when that takes too long."""
        until = self._clock.now() + PATIENCE_S
        while self._clock.now() < until:
            try:
                return await self._ask(request)
            except NoAnswer:
                await asyncio.sleep(self._dice.choice(AGAIN_S))
        return None

    async def _ask(self, request: Callable[[GatewayPart], Coroutine[object, object, T]]) -> T:
        """Ask some gateway. Raises NoAnswer, and whatever the gateway says that is an answer."""
        gateway = self._dice.choice(self._gateways)
        process, part = gateway.process, gateway.part
        if process is None or part is None:
            raise NoAnswer
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await process.ask(request(part))
        except (ConnectionLost, TryLater, TimeoutError) as error:
            raise NoAnswer from error
        if self._fates.strikes(Fault.ANSWER_LOST, self._dice):
            raise NoAnswer
        return answer
