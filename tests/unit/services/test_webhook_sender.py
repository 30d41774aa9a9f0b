"""The sender on virtual time: a schedule of days takes no time at all. SPEC G3."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import count, pairwise

import pytest
from msgspec.structs import replace
from typing_extensions import override

from headpond.adapters.memory.endpoints import MemoryEndpointStore
from headpond.adapters.memory.outbox import MemoryOutbox
from headpond.domain.destination_health import LEAVE_ALONE_S
from headpond.domain.dispatch import Dispatch, DispatchState, Reaction, Replied, Unreached
from headpond.domain.facts import DutyFailed, EndpointDisabled, WebhookSent
from headpond.domain.job import JobId
from headpond.domain.public_address import AddressRule
from headpond.domain.webhook_endpoint import EndpointId, callbacks_of
from headpond.domain.webhook_event import EventId
from headpond.errors import Unavailable
from headpond.ports.clock import Clock
from headpond.ports.outbox import DispatchQuery
from headpond.ports.receiver import Receiver
from headpond.services.teller import Teller
from headpond.services.webhook_sender import (
    DESTINATIONS_AT_ONCE,
    ORIGINS_AT_ONCE,
    WebhookSender,
)
from headpond.services.webhook_window import AT_ONCE, NOTE_S
from headpond.services.webhooks import Webhooks
from headpond.settings import WebhookSettings
from headpond.testing.faults import Crash, Faults, When, behind
from headpond.testing.records import a_job
from headpond.testing.virtual_time import LoopClock, run_virtually
from headpond.testing.webhooks_suite import CALLBACK, URL, an_endpoint, an_event
from tests.unit.services.pond import Ear

SETTINGS = WebhookSettings(timeout_s=20.0)
LEASE_S = SETTINGS.timeout_s + NOTE_S
DAY_S = 86_400.0
Script = Callable[[str], Awaitable[Reaction]]


async def at_once(url: str) -> Reaction:
    del url
    return Replied(200)


class ScriptedReceiver(Receiver):
    """Awaits `script` for each post, and remembers what arrived, and when."""

    def __init__(self) -> None:
        self.script: Script = at_once
        self.arrived: list[tuple[float, str, str, Mapping[str, str]]] = []
        self.at_once = 0
        self.most_at_once = 0

    @override
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reaction:
        now = asyncio.get_running_loop().time()
        self.arrived.append((now, url, headers["webhook-id"], headers))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await self.script(url)
        finally:
            self.at_once -= 1

    @override
    async def close(self) -> None:
        return

    def answer(self, *reactions: Reaction) -> None:
        """One after the other; the last one for ever."""
        waiting = list(reactions)

        async def script(url: str) -> Reaction:
            del url
            return waiting.pop(0) if len(waiting) > 1 else waiting[0]

        self.script = script

    @property
    def times(self) -> list[float]:
        return [time for time, *_ in self.arrived]

    @property
    def ids(self) -> list[str]:
        return [event_id for _, _, event_id, _ in self.arrived]


class SkewedClock(LoopClock):
    """A wall clock that can be set."""

    skew_s = 0.0

    @override
    def now(self) -> float:
        return super().now() + self.skew_s


class World:
    """Memory behind faults; make it inside the running loop."""

    def __init__(self) -> None:
        self.clock = SkewedClock()
        self.ear = Ear()
        self.faults = Faults()
        self.outbox = MemoryOutbox()
        self.endpoints = MemoryEndpointStore(self.outbox)
        self.receiver = ScriptedReceiver()
        self.rule = AddressRule()
        self.chance: Callable[[], float] = lambda: 0.0

    def sender(self, clock: Clock | None = None) -> WebhookSender:
        clock = clock or self.clock
        outbox = behind(self.outbox, self.faults)
        endpoints = behind(self.endpoints, self.faults)
        teller = Teller(behind(self.receiver, self.faults), self.rule, clock)
        webhooks = Webhooks(endpoints, outbox, teller, rule=self.rule, clock=clock)
        return WebhookSender(
            outbox,
            endpoints,
            webhooks,
            teller,
            settings=SETTINGS,
            clock=clock,
            listener=self.ear,
            chance=self.chance,
        )

    async def publish(self, count: int = 1) -> None:
        for number in range(count):
            await self.outbox.publish(an_event(number, occurred_at=self.clock.now()))

    async def dispatches(self, endpoint: str = "we_1") -> list[Dispatch]:
        query = DispatchQuery(endpoint=EndpointId(endpoint), limit=1000)
        return await self.outbox.find(query)

    async def states(self, endpoint: str = "we_1") -> set[DispatchState]:
        return {dispatch.state for dispatch in await self.dispatches(endpoint)}


def virtually(experiment: Callable[[World], Awaitable[None]]) -> None:
    async def run() -> None:
        world = World()
        await world.endpoints.add(an_endpoint())
        await experiment(world)

    run_virtually(run())


async def work(sender: WebhookSender, seconds: float) -> None:
    """Let the sender's own duties run."""
    sender.start()
    sender.start()
    await asyncio.sleep(seconds)
    await sender.stop()
    await sender.stop()


async def go_on(sender: WebhookSender, seconds: float) -> None:
    """The same for long spans: looks every half minute."""
    until_s = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < until_s:
        await sender.tick()
        await sender.idle()
        await asyncio.sleep(30)


def test_an_event_is_told_at_once_and_once() -> None:
    async def experiment(world: World) -> None:
        await world.publish()
        await go_on(world.sender(), DAY_S)
        assert world.receiver.ids == ["msg_0"]
        assert world.receiver.times[0] < 1
        assert await world.states() == {DispatchState.DELIVERED}
        (fact,) = world.ear.heard(WebhookSent)
        assert fact.dispatch.state is DispatchState.DELIVERED

    virtually(experiment)


def test_failures_are_tried_again_by_the_schedule_and_then_given_up() -> None:
    async def experiment(world: World) -> None:
        world.receiver.answer(Replied(500))
        await world.publish()
        await go_on(world.sender(), 5 * DAY_S)
        hours = [2, 5, 10, 14, 20, 24]
        schedule_s = [5, 300, 1800, *(hour * 3600 for hour in hours)]
        times = world.receiver.times
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert len(times) == 10
        for gap, planned in zip(gaps, schedule_s, strict=True):
            assert planned <= gap <= planned + 301
        assert set(world.receiver.ids) == {"msg_0"}
        assert await world.states() == {DispatchState.FAILED}
        endpoint = await world.endpoints.get(EndpointId("we_1"))
        assert endpoint is not None
        assert endpoint.disabled_at is not None
        assert len(world.ear.heard(EndpointDisabled)) == 1

    virtually(experiment)


def test_a_success_makes_an_endpoint_well() -> None:
    async def experiment(world: World) -> None:
        world.receiver.answer(Replied(500), Unreached("No."), Replied(204))
        await world.publish()
        sender = world.sender()
        await work(sender, 6)
        failing = await world.endpoints.get(EndpointId("we_1"))
        assert failing is not None
        assert failing.failing_since is not None
        await work(sender, 400)
        well = await world.endpoints.get(EndpointId("we_1"))
        assert well is not None
        assert well.failing_since is None
        assert await world.states() == {DispatchState.DELIVERED}

    virtually(experiment)


def test_gone_disables_the_endpoint_and_what_waits_is_given_up() -> None:
    async def experiment(world: World) -> None:
        world.receiver.answer(Replied(410))
        await world.publish(AT_ONCE + 3)
        await work(world.sender(), 60)
        assert len(world.receiver.arrived) == AT_ONCE
        assert await world.states() == {DispatchState.FAILED}
        endpoint = await world.endpoints.get(EndpointId("we_1"))
        assert endpoint is not None
        assert endpoint.disabled_reason == "It answered 410 Gone."
        await world.publish(100)
        assert len(await world.dispatches()) == AT_ONCE + 3

    virtually(experiment)


def test_what_waits_for_an_endpoint_that_is_gone_is_given_up() -> None:
    async def experiment(world: World) -> None:
        await world.publish()
        del world.outbox.endpoints[EndpointId("we_1")]
        await work(world.sender(), 1)
        (dispatch,) = await world.dispatches()
        assert (dispatch.state, dispatch.error) == (DispatchState.FAILED, "The endpoint is gone.")
        assert world.receiver.arrived == []

    virtually(experiment)


def test_a_callback_goes_to_the_jobs_own_url_and_is_not_judged() -> None:
    async def experiment(world: World) -> None:
        world.receiver.answer(Replied(410))
        job = a_job(callback=CALLBACK, team="alone").cancelled(world.clock.now())
        world.outbox.job_ended(job)
        await work(world.sender(), 60)
        assert [url for _, url, _, _ in world.receiver.arrived] == [CALLBACK]
        endpoint = await world.endpoints.get(callbacks_of("alone"))
        assert endpoint is not None
        assert (endpoint.disabled_at, endpoint.failing_since) == (None, None)

    virtually(experiment)


def test_a_url_that_is_not_allowed_any_more_is_not_posted_to() -> None:
    async def experiment(world: World) -> None:
        endpoint = an_endpoint("we_2", url="http://example.com/")
        await world.endpoints.add(endpoint)
        await world.publish()
        await work(world.sender(), 1)
        assert [url for _, url, _, _ in world.receiver.arrived] == [URL]
        (dispatch,) = await world.dispatches("we_2")
        assert "https://" in (dispatch.error or "")

    virtually(experiment)


def test_one_that_hangs_stops_nobody_else() -> None:
    async def experiment(world: World) -> None:
        async def script(url: str) -> Reaction:
            if url == URL:
                await asyncio.sleep(SETTINGS.timeout_s)
                return Unreached("No answer.")
            return Replied(200)

        world.receiver.script = script
        await world.endpoints.add(an_endpoint("we_2", url=CALLBACK))
        await world.publish(100)
        await work(world.sender(), 1)
        assert await world.states("we_2") == {DispatchState.DELIVERED}
        assert world.receiver.most_at_once <= 2 * AT_ONCE
        assert await world.states() == {DispatchState.PENDING}

    virtually(experiment)


def test_many_that_hang_leave_room_in_the_end() -> None:
    async def experiment(world: World) -> None:
        async def script(url: str) -> Reaction:
            if url == URL:
                await asyncio.sleep(SETTINGS.timeout_s)
                return Unreached("No answer.")
            return Replied(200)

        world.receiver.script = script
        for number in range(DESTINATIONS_AT_ONCE):
            await world.endpoints.add(an_endpoint(f"we_1_{number}"))
        await world.endpoints.add(an_endpoint("we_2", url=CALLBACK))
        await world.publish()
        await work(world.sender(), 2 * SETTINGS.timeout_s)
        assert await world.states("we_2") == {DispatchState.DELIVERED}

    virtually(experiment)


def test_callbacks_of_a_team_wait_for_nobody_elses_receiver() -> None:
    """One receiver fails for minutes; those of another host hear of their jobs at once."""

    async def experiment(world: World) -> None:
        async def script(url: str) -> Reaction:
            return Replied(500 if "bad" in url else 200)

        def end(number: int, host: str) -> None:
            job = a_job(
                id=JobId(f"job_{host}{number}"), callback=f"https://{host}.example/{number}"
            )
            world.outbox.job_ended(replace(job.cancelled(world.clock.now()), team="alone"))

        world.receiver.script = script
        sender = world.sender()
        sender.start()
        for number in range(12):
            for one in range(10):
                end(10 * number + one, "bad")
            end(number, "good")
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(60)
            told = [
                at
                for at, url, *_ in world.receiver.arrived
                if url.endswith(f"good.example/{number}")
            ]
            assert [at - began < 1 for at in told] == [True]
        await sender.stop()

    virtually(experiment)


def test_a_slow_answer_holds_up_its_own_place_only() -> None:
    """One attempt in nine takes three seconds: the others go on beside it."""

    async def experiment(world: World) -> None:
        posted = count()

        async def script(url: str) -> Reaction:
            del url
            await asyncio.sleep(3.0 if next(posted) % 9 == 0 else 0.01)
            return Replied(200)

        world.receiver.script = script
        await world.publish(1_000)
        await work(world.sender(), 60)
        assert world.receiver.most_at_once == AT_ONCE
        assert len(world.receiver.arrived) == 1_000
        # Eight places, and a third of a second for each post: 24 a second. In groups of eight
        # that wait for their slowest it would be fewer than three.
        assert world.receiver.times[-1] < 1_000 / 20

    virtually(experiment)


def test_what_comes_while_a_window_is_open_goes_through_it() -> None:
    async def experiment(world: World) -> None:
        async def script(url: str) -> Reaction:
            del url
            await asyncio.sleep(15.0 if len(world.receiver.arrived) == 1 else 0.0)
            return Replied(200)

        world.receiver.script = script
        await world.publish()
        sender = world.sender()
        sender.start()
        await asyncio.sleep(1)
        await world.outbox.publish(an_event(7, occurred_at=world.clock.now()))
        await asyncio.sleep(1)
        await sender.stop()
        assert world.receiver.ids == ["msg_0", "msg_7"]

    virtually(experiment)


def test_one_failure_among_successes_pauses_nothing() -> None:
    async def experiment(world: World) -> None:
        posted = count(1)

        async def script(url: str) -> Reaction:
            del url
            await asyncio.sleep(0.01)
            return Replied(500 if next(posted) % 20 == 0 else 200)

        world.receiver.script = script
        await world.publish(400)
        await work(world.sender(), 4)
        assert len(world.receiver.arrived) >= 400

    virtually(experiment)


def test_windows_take_turns_where_there_are_more_destinations_than_room() -> None:
    """As many as there is room for never run dry; one more is told all the same."""

    async def experiment(world: World) -> None:
        world.chance = random.Random(1).random

        async def script(url: str) -> Reaction:
            await asyncio.sleep(0.0 if url == CALLBACK else 3.0)
            return Replied(200)

        world.receiver.script = script
        for number in range(DESTINATIONS_AT_ONCE):
            await world.endpoints.add(an_endpoint(f"we_0_{number}"))
        await world.endpoints.add(an_endpoint("we_2", url=CALLBACK))
        await world.publish(40)
        sender = world.sender()
        sender.start()
        await asyncio.sleep(10)
        await sender.stop()
        assert DispatchState.DELIVERED in await world.states("we_2")

    virtually(experiment)


def test_callbacks_of_one_team_leave_room_whatever_their_hosts() -> None:
    async def experiment(world: World) -> None:
        async def script(url: str) -> Reaction:
            if url != URL:
                await asyncio.sleep(SETTINGS.timeout_s)
            return Replied(200)

        world.receiver.script = script
        for number in range(DESTINATIONS_AT_ONCE):
            job = a_job(id=JobId(f"job_{number}"), callback=f"https://{number}.example/")
            world.outbox.job_ended(replace(job.cancelled(world.clock.now()), team="alone"))
        sender = world.sender()
        sender.start()
        await asyncio.sleep(1)
        assert world.receiver.at_once == ORIGINS_AT_ONCE
        await world.publish()
        await asyncio.sleep(1)
        assert await world.states() == {DispatchState.DELIVERED}
        await asyncio.sleep(100)
        assert await world.states(callbacks_of("alone")) == {DispatchState.DELIVERED}
        await sender.stop()

    virtually(experiment)


def test_the_receivers_wish_holds_for_the_whole_endpoint() -> None:
    async def experiment(world: World) -> None:
        world.receiver.answer(Replied(429, 60.0), Replied(200))
        await world.publish()
        sender = world.sender()
        await work(sender, 1)
        await world.outbox.publish(an_event(7, occurred_at=world.clock.now()))
        await work(sender, 120)
        assert world.receiver.times[1] - world.receiver.times[0] >= 60
        assert set(world.receiver.ids[1:]) == {"msg_0", "msg_7"}
        assert await world.states() == {DispatchState.DELIVERED}

    virtually(experiment)


def test_two_senders_share_the_work() -> None:
    async def experiment(world: World) -> None:
        async def slow(url: str) -> Reaction:
            del url
            await asyncio.sleep(0.5)
            return Replied(200)

        world.receiver.script = slow
        await world.publish(50)
        senders = [world.sender(), world.sender()]
        await asyncio.gather(*(work(sender, 60) for sender in senders))
        assert sorted(world.receiver.ids) == sorted(f"msg_{number}" for number in range(50))
        assert await world.states() == {DispatchState.DELIVERED}

    virtually(experiment)


def test_a_sender_that_stops_in_the_middle_of_an_attempt_leaves_it_to_the_next() -> None:
    async def experiment(world: World) -> None:
        async def hang(url: str) -> Reaction:
            del url
            await asyncio.Event().wait()
            raise AssertionError

        world.receiver.script = hang
        await world.publish()
        await work(world.sender(), 1)
        world.receiver.script = at_once
        await work(world.sender(), LEASE_S + 1)
        assert world.receiver.ids == ["msg_0", "msg_0"]
        assert await world.states() == {DispatchState.DELIVERED}

    virtually(experiment)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("reaction", [Replied(200), Replied(500), Replied(410)])
def test_a_crash_at_any_call_loses_nothing(when: When, reaction: Reaction) -> None:
    """The process dies at its n-th call to a port, for every n, and another one goes on."""

    async def until_the_end(world: World, *, crash_at: int | None) -> int:
        world.receiver.answer(reaction, Replied(200))
        await world.publish(2)
        world.outbox.job_ended(a_job(callback=CALLBACK, id="job_c").cancelled(world.clock.now()))
        dying = world.sender()
        world.faults.arm(crash_at, when)
        with suppress(Crash):
            await dying.tick()
            await dying.idle()
        calls, died = world.faults.calls, world.faults.struck
        await dying.stop()
        world.faults.arm(None)
        await go_on(world.sender(), 3600)
        callbacks = await world.dispatches(callbacks_of("team"))
        told = [*await world.dispatches(), *callbacks]
        assert {one.state for one in told} <= {DispatchState.DELIVERED, DispatchState.FAILED}
        given_up = [one for one in told if one.state is DispatchState.FAILED]
        assert not given_up or reaction == Replied(410)
        assert {one.event.id for one in told} <= set(world.receiver.ids) or given_up
        assert len(callbacks) == 1
        assert died or crash_at is None
        return calls

    calls: list[int] = []

    async def count(world: World) -> None:
        calls.append(await until_the_end(world, crash_at=None))

    virtually(count)
    assert calls[0] > 8
    for number in range(calls[0]):

        async def crash(world: World, number: int = number) -> None:
            await until_the_end(world, crash_at=number)

        virtually(crash)


def test_a_store_that_does_not_answer_is_told_and_the_sender_goes_on() -> None:
    async def experiment(world: World) -> None:
        await world.publish(3)
        away = Unavailable("away", code="store_unavailable")
        sender = world.sender()
        world.faults.arm(3, error=away)
        assert await sender.tick() == 1
        await sender.idle()
        assert len(world.ear.heard(DutyFailed)) == 1
        assert await sender.tick() == 0
        await work(sender, LEASE_S + LEAVE_ALONE_S + 1)
        assert await world.states() == {DispatchState.DELIVERED}

    virtually(experiment)


@pytest.mark.parametrize("jump_s", [-7 * DAY_S, -3600.0, 3600.0, 7 * DAY_S])
def test_a_clock_that_jumps_loses_nothing_and_disables_nobody(jump_s: float) -> None:
    async def experiment(world: World) -> None:
        world.receiver.answer(Replied(500), Replied(500), Replied(200))
        await world.publish()
        sender = world.sender()
        await work(sender, 1)
        world.clock.skew_s = jump_s
        await go_on(sender, max(0.0, -jump_s) + 3600)
        assert set(world.receiver.ids) == {"msg_0"}
        assert await world.states() == {DispatchState.DELIVERED}
        endpoint = await world.endpoints.get(EndpointId("we_1"))
        assert endpoint is not None
        assert endpoint.disabled_at is None

    virtually(experiment)


def test_an_owner_who_changes_the_url_meanwhile_is_not_judged_by_the_old_one() -> None:
    async def experiment(world: World) -> None:
        changed = an_endpoint().updated(url=CALLBACK)

        async def script(url: str) -> Reaction:
            del url
            await world.endpoints.swap(changed)
            return Replied(410)

        world.receiver.script = script
        await world.publish()
        await work(world.sender(), 1)
        assert await world.endpoints.get(EndpointId("we_1")) == changed

    virtually(experiment)


def test_another_change_meanwhile_does_not_hide_that_it_is_gone() -> None:
    async def experiment(world: World) -> None:
        async def script(url: str) -> Reaction:
            del url
            await world.endpoints.swap(an_endpoint().updated(name="renamed"))
            return Replied(410)

        world.receiver.script = script
        await world.publish()
        await work(world.sender(), 1)
        endpoint = await world.endpoints.get(EndpointId("we_1"))
        assert endpoint is not None
        assert (endpoint.name, endpoint.disabled_at is None) == ("renamed", False)

    virtually(experiment)


def test_an_endpoint_that_is_removed_meanwhile_is_not_judged() -> None:
    async def experiment(world: World) -> None:
        async def script(url: str) -> Reaction:
            del url
            await world.endpoints.remove(EndpointId("we_1"))
            return Replied(410)

        world.receiver.script = script
        await world.publish()
        await work(world.sender(), 1)
        assert world.ear.heard(EndpointDisabled) == []

    virtually(experiment)


def test_what_ended_long_ago_is_forgotten() -> None:
    async def experiment(world: World) -> None:
        await world.publish()
        sender = world.sender()
        await work(sender, 1)
        await asyncio.sleep(SETTINGS.keep_s - 60)
        await work(sender, 1)
        assert len(await world.dispatches()) == 1
        await asyncio.sleep(60)
        await work(sender, 1)
        assert await world.outbox.get(EndpointId("we_1"), EventId("msg_0")) is None

    virtually(experiment)
