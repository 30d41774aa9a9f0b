"""What is in flight: a task for each request that is at the engine.

A request is in flight until the engine has answered, has failed, or the task was cancelled: by the
heartbeat, because its claim fell, or by a stop. What becomes of the job then, others see to; it
takes no place at the engine any more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from headpond.domain.facts import ClaimLost, EngineAnswered
from headpond.domain.outcome import Outcome
from headpond.ports.clock import Clock
from headpond.ports.delivery import Claim
from headpond.ports.events import Listener
from headpond.ports.queue import LeaseToken
from headpond.services.complaints import failure
from headpond.services.worker.relay import Relay

Ended = Callable[[Claim, Outcome | None], Awaitable[None]]
"""Takes what the engine said, None if it was not heard out, in the task of the request."""


class InFlight:
    """The requests of one worker at its engine, which is called `engine`."""

    def __init__(
        self, relay: Relay, ended: Ended, *, engine: str, clock: Clock, listener: Listener
    ) -> None:
        self._relay = relay
        self._ended = ended
        self._engine = engine
        self._clock = clock
        self._listener = listener
        self._running: dict[LeaseToken, tuple[Claim, asyncio.Task[None]]] = {}
        self._cutting_off = False

    def __len__(self) -> int:
        return len(self._running)

    @property
    def claims(self) -> Sequence[Claim]:
        """Those that are at the engine."""
        return [claim for claim, _ in self._running.values()]

    def start(self, claim: Claim) -> None:
        """The claim's request goes to the engine."""
        task = asyncio.create_task(self._run(claim), name=claim.job.id)
        self._running[claim.lease.token] = (claim, task)

    def abort(self, claim: Claim) -> bool:
        """The claim fell: it may run elsewhere. False if it is not at the engine."""
        running = self._running.get(claim.lease.token)
        if running is None:
            return False
        # Once it has begun: a task that is cancelled before that never tells that it has ended.
        asyncio.get_running_loop().call_soon(running[1].cancel)
        return True

    async def finish_until(self, until: float) -> None:
        """Wait for the engine to answer all; at the loop's time `until` the rest is cut off."""
        loop = asyncio.get_running_loop()
        while self._running and (left_s := until - loop.time()) > 0:
            await asyncio.wait([task for _, task in self._running.values()], timeout=left_s)

    async def cut_off(self) -> None:
        """Abort whatever is left."""
        self._cutting_off = True
        await asyncio.sleep(0)  # each has begun then
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _run(self, claim: Claim) -> None:
        outcome: Outcome | None = None
        try:
            outcome = await self._ask(claim)
        except asyncio.CancelledError:
            if not self._cutting_off:
                self._listener.hear(ClaimLost(claim.job.id))
        except Exception as error:  # noqa: BLE001 - the lease lapses, the job runs again
            self._listener.hear(failure("run", error))
        finally:
            self._running.pop(claim.lease.token, None)
        await self._ended(claim, outcome)

    async def _ask(self, claim: Claim) -> Outcome:
        began = self._clock.now()
        outcome = await self._relay.ask(claim)
        duration_s = self._clock.now() - began
        self._listener.hear(EngineAnswered(self._engine, type(outcome).__name__, duration_s))
        return outcome
