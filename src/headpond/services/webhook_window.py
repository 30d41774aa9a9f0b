"""The window: what is on its way to one destination, a few attempts at a time.

As soon as one attempt has ended the next one begins, so a slow answer holds up its own place in
the window and nothing else. What ends is noted, and the endpoint is judged by it.
"""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from headpond.domain.destination import Destination
from headpond.domain.destination_health import Health
from headpond.domain.dispatch import Dispatch, DispatchState, Reaction, react
from headpond.domain.facts import EndpointDisabled, WebhookSent
from headpond.domain.webhook_endpoint import Endpoint, callbacks_of
from headpond.ports.clock import Clock
from headpond.ports.endpoints import EndpointStore
from headpond.ports.events import Listener
from headpond.ports.outbox import Outbox
from headpond.services.teller import Teller
from headpond.services.webhooks import Webhooks
from headpond.settings import WebhookSettings

AT_ONCE = 8
"""Attempts of one destination under way."""

NOTE_S = 10.0
"""A lease outlives the longest attempt by this: time to note what became of it."""


class Told(msgspec.Struct, frozen=True):
    """An attempt: where it went, what the receiver made of it, and the dispatch after it."""

    url: str
    reaction: Reaction
    dispatch: Dispatch


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """What every window of a sender works with. `chance` is the source of jitter, in [0, 1)."""

    outbox: Outbox
    endpoints: EndpointStore
    webhooks: Webhooks
    teller: Teller
    settings: WebhookSettings
    clock: Clock
    listener: Listener
    chance: Callable[[], float]


class Window:
    """Made for one turn of a destination; `health` is what is known of it, and is kept up."""

    def __init__(self, destination: Destination, sending: Sending, health: Health) -> None:
        self.destination = destination
        self.health = health
        self.began_s = asyncio.get_running_loop().time()
        self._sending = sending
        self._changed = asyncio.Event()
        self._closing = False
        self._under_way: list[asyncio.Task[Told]] = []
        self._endpoint: Endpoint | None = None

    async def run(self) -> None:
        """Until nothing is due or under way. Every attempt is seen to its end, whatever fails.

        Cancelled, it leaves attempts in the middle: their leases lapse.
        """
        try:
            await self._fill()
            while self._under_way:
                await self._changed.wait()
                self._changed.clear()
                await self._reap()
                await self._fill()
        except Exception:
            await asyncio.gather(*self._under_way, return_exceptions=True)
            raise
        finally:
            for attempt in self._under_way:
                attempt.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def look(self) -> None:
        """More is due."""
        self._changed.set()

    def close(self) -> None:
        """Begin nothing more: others wait for the room."""
        self._closing = True

    async def _fill(self) -> None:
        """Begin what is due, as far as there is room."""
        now_s = asyncio.get_running_loop().time()
        while len(self._under_way) < AT_ONCE and not self._closing:
            if now_s < self.health.alone_until:
                return
            leased = await self._sending.outbox.lease(
                self.destination,
                now=self._sending.clock.now(),
                limit=AT_ONCE - len(self._under_way),
                lease_s=self._sending.settings.timeout_s + NOTE_S,
            )
            if not leased:
                return
            self._endpoint = await self._endpoint_for(leased[0])
            if self._endpoint is None or self._endpoint.disabled_at is not None:
                await self._give_up(leased)
            else:
                self._begin(self._endpoint, leased)

    def _begin(self, endpoint: Endpoint, leased: Sequence[Dispatch]) -> None:
        for dispatch in leased:
            attempt = asyncio.create_task(self._tell(endpoint, dispatch), name=dispatch.event.id)
            attempt.add_done_callback(lambda _: self._changed.set())
            self._under_way.append(attempt)

    async def _reap(self) -> None:
        """Learn from what has ended."""
        told = [attempt.result() for attempt in self._under_way if attempt.done()]
        self._under_way = [attempt for attempt in self._under_way if not attempt.done()]
        now_s = asyncio.get_running_loop().time()
        for one in told:
            self.health = self.health.after(one.reaction, now_s)
        if told:
            await self._judge(told)

    async def _endpoint_for(self, dispatch: Dispatch) -> Endpoint | None:
        team = dispatch.event.team
        if dispatch.endpoint == callbacks_of(team):
            return await self._sending.webhooks.callbacks(team)
        return await self._sending.endpoints.get(dispatch.endpoint)

    async def _give_up(self, leased: Sequence[Dispatch]) -> None:
        reason = "The endpoint is gone." if self._endpoint is None else "The endpoint is disabled."
        for dispatch in leased:
            now = self._sending.clock.now()
            await self._sending.outbox.swap(dispatch.given_up(now, dispatch.status, reason))

    async def _tell(self, endpoint: Endpoint, dispatch: Dispatch) -> Told:
        loop = asyncio.get_running_loop()
        began = loop.time()
        url = dispatch.url or endpoint.url or ""
        reaction = await self._sending.teller.tell(endpoint, dispatch.event, url)
        after = react(
            dispatch,
            reaction,
            now=self._sending.clock.now(),
            schedule_s=self._sending.settings.schedule_s,
            chance=self._sending.chance(),
        )
        # False if the lease lapsed and another sender took over: what it notes counts.
        await self._sending.outbox.swap(after)
        self._sending.listener.hear(WebhookSent(after, loop.time() - began))
        return Told(url, reaction, after)

    async def _judge(self, told: Sequence[Told]) -> None:
        """Note on the endpoint how it did. That for callbacks stands for many: it is not judged."""
        while self._endpoint is not None and self._endpoint.url is not None:
            own = [one for one in told if one.url == self._endpoint.url]
            if not own:
                return
            after = self._endpoint.judged(
                self._sending.clock.now(),
                gone=any(one.reaction.gone for one in own),
                delivered=any(one.reaction.ok for one in own),
                gave_up=any(one.dispatch.state is DispatchState.FAILED for one in own),
                disable_after_s=self._sending.settings.disable_after_s,
            )
            if after is None:
                return
            if await self._sending.endpoints.swap(after):
                self._endpoint = after
                if after.disabled_at is not None:
                    self._sending.listener.hear(EndpointDisabled(after))
                return
            self._endpoint = await self._sending.endpoints.get(self._endpoint.id)
