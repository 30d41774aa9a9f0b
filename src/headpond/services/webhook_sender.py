"""The sender: tells endpoints what the outbox holds for them.

Each endpoint that has something due is served by a task of its own, a few dispatches at a time, so
one that hangs stops nobody else. When one of the few fails, the endpoint is left alone for a
moment. Any number of senders may run: a lease gives each dispatch to one of them. A sender that
dies between the POST and the note leaves a lease that lapses, and the event is told again.
"""

import asyncio
import random
from collections.abc import Callable, Sequence

import msgspec

from headpond.domain.dispatch import Dispatch, DispatchState, Reaction, react
from headpond.domain.facts import DutyFailed, EndpointDisabled, WebhookSent
from headpond.domain.webhook_endpoint import Endpoint, EndpointId, callbacks_of
from headpond.ports.clock import Clock
from headpond.ports.endpoints import EndpointStore
from headpond.ports.events import Listener
from headpond.ports.outbox import Outbox
from headpond.services.duty import Duty
from headpond.services.teller import Teller
from headpond.services.webhooks import Webhooks
from headpond.settings import WebhookSettings

LOOK_EVERY_S = 0.25
FORGET_EVERY_S = 60.0
FORGET_AT_ONCE = 1000

AT_ONCE = 8
"""Dispatches of one endpoint in flight."""

ENDPOINTS_AT_ONCE = 64
LOOK_AT = 1000
"""Endpoints of one look: more than are served, for some are left alone."""

NOTE_S = 10.0
"""A lease outlives the longest attempt by this: time to note what became of it."""

LEAVE_ALONE_S = 1.0
LEAVE_ALONE_SHARE = 0.1
MAX_LEAVE_ALONE_S = 300.0
"""An endpoint that fails is left alone for a tenth of the time for which it has been failing."""


class Told(msgspec.Struct, frozen=True):
    """An attempt: what the receiver made of it, and the dispatch after it."""

    reaction: Reaction
    dispatch: Dispatch


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
        chance: Callable[[], float] | None = None,
    ) -> None:
        self._outbox = outbox
        self._endpoints = endpoints
        self._webhooks = webhooks
        self._teller = teller
        self._settings = settings
        self._clock = clock
        self._listener = listener
        self._chance = chance or random.Random().random
        self._serving: dict[EndpointId, asyncio.Task[None]] = {}
        self._alone_until: dict[EndpointId, float] = {}
        self._duties = (
            Duty("webhooks", self.tick, every_s=LOOK_EVERY_S, listener=listener),
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
        tasks = list(self._serving.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def tick(self) -> int:
        """Look once, begin to serve whoever has something due; returns how many."""
        now_s = asyncio.get_running_loop().time()
        self._alone_until = {
            endpoint: until_s for endpoint, until_s in self._alone_until.items() if until_s > now_s
        }
        due = await self._outbox.due(self._clock.now(), limit=LOOK_AT)
        waiting = [
            endpoint
            for endpoint in due
            if endpoint not in self._serving and endpoint not in self._alone_until
        ]
        begun = waiting[: ENDPOINTS_AT_ONCE - len(self._serving)]
        for endpoint in begun:
            task = asyncio.create_task(self._serve(endpoint), name=f"webhooks to {endpoint}")
            self._serving[endpoint] = task
        return len(begun)

    async def idle(self) -> None:
        """Once nobody is being served."""
        while self._serving:
            await asyncio.gather(*self._serving.values())

    async def forget(self) -> int:
        """Remove what ended long ago; returns how much."""
        return await self._outbox.forget(
            self._clock.now() - self._settings.keep_s, limit=FORGET_AT_ONCE
        )

    async def _serve(self, endpoint_id: EndpointId) -> None:
        try:
            while await self._tell_some(endpoint_id):
                pass
        except Exception as error:  # noqa: BLE001 - what is leased comes again, the sender goes on
            self._listener.hear(DutyFailed("webhooks", repr(error)))
            again_s = asyncio.get_running_loop().time() + LEAVE_ALONE_S
            self._alone_until[endpoint_id] = again_s
        finally:
            del self._serving[endpoint_id]

    async def _tell_some(self, endpoint_id: EndpointId) -> bool:
        """False when nothing more is due there, or something failed."""
        dispatches = await self._outbox.lease(
            endpoint_id,
            now=self._clock.now(),
            limit=AT_ONCE,
            lease_s=self._settings.timeout_s + NOTE_S,
        )
        if not dispatches:
            return False
        endpoint = await self._endpoint(endpoint_id, dispatches[0].event.team)
        if endpoint is None or endpoint.disabled_at is not None:
            reason = "The endpoint is gone." if endpoint is None else "The endpoint is disabled."
            for dispatch in dispatches:
                now = self._clock.now()
                await self._outbox.swap(dispatch.given_up(now, dispatch.status, reason))
            return True
        told = await self._tell_all(endpoint, dispatches)
        await self._judge(endpoint, told)
        if all(one.reaction.ok for one in told):
            return True
        self._leave_alone(endpoint, told)
        return False

    async def _endpoint(self, endpoint_id: EndpointId, team: str) -> Endpoint | None:
        if endpoint_id == callbacks_of(team):
            return await self._webhooks.callbacks(team)
        return await self._endpoints.get(endpoint_id)

    async def _tell_all(self, endpoint: Endpoint, dispatches: Sequence[Dispatch]) -> list[Told]:
        """Every attempt is seen to its end, whatever becomes of the others."""
        attempts = [self._tell(endpoint, dispatch) for dispatch in dispatches]
        told = await asyncio.gather(*attempts, return_exceptions=True)
        for one in told:
            if isinstance(one, BaseException):
                raise one
        return [one for one in told if isinstance(one, Told)]

    async def _tell(self, endpoint: Endpoint, dispatch: Dispatch) -> Told:
        loop = asyncio.get_running_loop()
        began = loop.time()
        url = dispatch.url or endpoint.url or ""
        reaction = await self._teller.tell(endpoint, dispatch.event, url)
        after = react(
            dispatch,
            reaction,
            now=self._clock.now(),
            schedule_s=self._settings.schedule_s,
            chance=self._chance(),
        )
        # False if the lease lapsed and another sender took over: what it notes counts.
        await self._outbox.swap(after)
        self._listener.hear(WebhookSent(after, loop.time() - began))
        return Told(reaction, after)

    async def _judge(self, endpoint: Endpoint, told: Sequence[Told]) -> None:
        """Note on the endpoint how it did. That for callbacks stands for many: it is not judged."""
        judged: Endpoint | None = endpoint
        while judged is not None and judged.url is not None and judged.url == endpoint.url:
            after = judged.judged(
                self._clock.now(),
                gone=any(one.reaction.gone for one in told),
                delivered=any(one.reaction.ok for one in told),
                gave_up=any(one.dispatch.state is DispatchState.FAILED for one in told),
                disable_after_s=self._settings.disable_after_s,
            )
            if after is None:
                return
            if await self._endpoints.swap(after):
                if after.disabled_at is not None:
                    self._listener.hear(EndpointDisabled(after))
                return
            judged = await self._endpoints.get(endpoint.id)

    def _leave_alone(self, endpoint: Endpoint, told: Sequence[Told]) -> None:
        """For as long as it asks, and longer the longer it fails: others get the room."""
        failing_s = self._clock.now() - (endpoint.failing_since or self._clock.now())
        wished_s = max(one.reaction.retry_after_s or 0.0 for one in told)
        alone_s = max(LEAVE_ALONE_S, wished_s, failing_s * LEAVE_ALONE_SHARE)
        until_s = asyncio.get_running_loop().time() + min(alone_s, MAX_LEAVE_ALONE_S)
        self._alone_until[endpoint.id] = until_s
