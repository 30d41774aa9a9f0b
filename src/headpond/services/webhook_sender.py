"""The sender: tells destinations what the outbox holds for them.

Each destination that has something due gets a window of its own, so one that hangs stops nobody
else; where there are more than there is room for, they take turns. One that fails is left alone for
a while. Any number of senders may run: a lease gives each dispatch to one of them. A sender that
dies between the POST and the note leaves a lease that lapses, and the event is told again.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from headpond.domain.destination import Destination
from headpond.domain.destination_health import LEAVE_ALONE_S, Health
from headpond.ports.clock import Clock
from headpond.ports.endpoints import EndpointStore
from headpond.ports.events import Listener
from headpond.ports.outbox import Outbox
from headpond.services.complaints import failure
from headpond.services.duty import Duty
from headpond.services.teller import Teller
from headpond.services.webhook_window import Sending, Window
from headpond.services.webhooks import Webhooks
from headpond.settings import WebhookSettings

LOOK_EVERY_S = 0.25
LOOK_AT = 4_000
"""Destinations of one look, which takes some 20 ms for so many; the next look goes on behind."""

DESTINATIONS_AT_ONCE = 64
ORIGINS_AT_ONCE = 16
"""Of one team's callbacks: they leave room for others, wherever they go."""

TURN_S = 5.0
"""After this a window is closed if others wait for one."""

REMEMBER_S = 3600.0
"""A destination's health is forgotten if for so long after its pause it was not tried."""

FORGET_EVERY_S = 60.0
FORGET_AT_ONCE = 1000


class WebhookSender:
    """Runs between `start` and `stop`. `chance` is the source of jitter, in [0, 1)."""

    def __init__(
        self,
        outbox: Outbox,
        endpoints: EndpointStore,
        webhooks: Webhooks,
        teller: Teller,
        *,
        settings: WebhookSettings,
        clock: Clock,
        listener: Listener,
        look_every_s: float = LOOK_EVERY_S,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self._sending = Sending(
            outbox=outbox,
            endpoints=endpoints,
            webhooks=webhooks,
            teller=teller,
            settings=settings,
            clock=clock,
            listener=listener,
            chance=chance or random.Random().random,
        )
        self._windows: dict[Destination, tuple[Window, asyncio.Task[None]]] = {}
        self._health: dict[Destination, Health] = {}
        self._seen_until: Destination | None = None
        self._duties = (
            Duty("webhooks", self.tick, every_s=look_every_s, listener=listener),
            Duty("old webhooks", self.forget, every_s=FORGET_EVERY_S, listener=listener),
        )

    def start(self) -> None:
        """Begin to look."""
        for duty in self._duties:
            duty.start()

    async def stop(self) -> None:
        """End, in the middle of an attempt if need be: its lease lapses. Works twice."""
        for duty in self._duties:
            await duty.stop()
        tasks = [task for _, task in self._windows.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def tick(self) -> int:
        """Look once, open a window for whoever has something due; returns for how many."""
        now_s = asyncio.get_running_loop().time()
        found = await self._sending.outbox.look(
            self._sending.clock.now(), limit=LOOK_AT, after=self._seen_until
        )
        self._seen_until = found.end
        waiting: list[Destination] = []
        for destination in found.due:
            if destination in self._windows:
                self._windows[destination][0].look()
            elif self._known(destination).alone_until <= now_s:
                waiting.append(destination)
        begun = self._with_room(waiting)
        for destination in begun:
            self._open(destination)
        if len(begun) < len(waiting):
            self._make_room(now_s)
        return len(begun)

    async def idle(self) -> None:
        """Once no window is open."""
        while self._windows:
            await asyncio.gather(*(task for _, task in self._windows.values()))

    async def forget(self) -> int:
        """Remove what ended long ago; returns how much."""
        now_s = asyncio.get_running_loop().time()
        self._health = {
            destination: health
            for destination, health in self._health.items()
            if health.alone_until > now_s - (REMEMBER_S if health.failures else 0.0)
        }
        return await self._sending.outbox.forget(
            self._sending.clock.now() - self._sending.settings.keep_s, limit=FORGET_AT_ONCE
        )

    def _known(self, destination: Destination) -> Health:
        return self._health.get(destination, Health())

    def _with_room(self, waiting: Sequence[Destination]) -> list[Destination]:
        """Those of them for which there is room; which, where there is not enough, chance says."""
        waiting = sorted(waiting, key=lambda _: self._sending.chance())
        open_for = Counter(destination.endpoint for destination in self._windows)
        begun: list[Destination] = []
        for destination in waiting:
            if len(self._windows) + len(begun) == DESTINATIONS_AT_ONCE:
                break
            if open_for[destination.endpoint] < ORIGINS_AT_ONCE:
                open_for[destination.endpoint] += 1
                begun.append(destination)
        return begun

    def _make_room(self, now_s: float) -> None:
        for window, _ in self._windows.values():
            if now_s - window.began_s >= TURN_S:
                window.close()

    def _open(self, destination: Destination) -> None:
        window = Window(destination, self._sending, self._known(destination))
        task = asyncio.create_task(self._run(window), name=f"webhooks to {destination.endpoint}")
        self._windows[destination] = window, task

    async def _run(self, window: Window) -> None:
        try:
            await window.run()
        except Exception as error:  # noqa: BLE001 - what is leased comes again, the sender goes on
            self._sending.listener.hear(failure("webhooks", error))
            again_s = asyncio.get_running_loop().time() + LEAVE_ALONE_S
            window.health = replace(window.health, alone_until=again_s)
        finally:
            self._health[window.destination] = window.health
            del self._windows[window.destination]
