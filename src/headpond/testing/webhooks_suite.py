"""What an outbox, an endpoint store, a job store and a batch store must do together.

Subclass `WebhookSuite` and give it a `stores` fixture.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from headpond.domain.batch import Batch, Results
from headpond.domain.destination import Destination
from headpond.domain.dispatch import Dispatch, DispatchState
from headpond.domain.job import Job, JobError, JobId, Ticket, Usage
from headpond.domain.webhook_endpoint import Endpoint, EndpointId, Signer, callbacks_of
from headpond.domain.webhook_event import (
    Event,
    EventId,
    EventType,
    batch_event,
    event,
    job_event,
    job_events,
)
from headpond.domain.webhook_signature import Secret
from headpond.ports.batches import BatchStore
from headpond.ports.endpoints import EndpointStore
from headpond.ports.jobs import JobStore
from headpond.ports.outbox import DispatchQuery, Look, Outbox, Untold
from headpond.testing.batches_suite import a_batch
from headpond.testing.records import HOST, LONGEST, RESPONSE, a_job, new_job

NOW = 1_000_000.0

LATER = NOW + 8 * 86_400
"""A store may leave what was told for a week to a service that removes it by itself."""

LEASE_S = 30.0
URL = "https://example.com/hook"
CALLBACK = "https://example.com/callback"


@dataclass
class Stores:
    """Those that know each other."""

    jobs: JobStore
    batches: BatchStore
    endpoints: EndpointStore
    outbox: Outbox


def an_endpoint(endpoint_id: str = "we_1", **fields: object) -> Endpoint:
    """One of team `team` that hears of everything, with what is given instead."""
    endpoint = Endpoint(
        id=EndpointId(endpoint_id),
        team="team",
        url=URL,
        event_types=tuple(EventType),
        signers=(Signer(Secret("whsec_c2VjcmV0")),),
        created_at=NOW,
    )
    return replace(endpoint, **fields)


def an_event(number: int = 1, *, team: str = "team", occurred_at: float = NOW) -> Event:
    """The end of a batch."""
    return event(
        EventId(f"msg_{number}"),
        EventType.BATCH_COMPLETED,
        team=team,
        occurred_at=occurred_at,
        data={"id": f"batch_{number}"},
    )


Ending = Callable[[Job], Job]

ENDINGS: dict[str, tuple[Ending, EventType]] = {
    "succeeded": (
        lambda job: job.claimed("w", NOW).succeeded(NOW, engine="e", usage=Usage(1, 2)),
        EventType.JOB_SUCCEEDED,
    ),
    "failed": (
        lambda job: job.claimed("w", NOW).failed(NOW, JobError("code", "why")),
        EventType.JOB_FAILED,
    ),
    "buried": (
        lambda job: job.claimed("w", NOW).buried(NOW, JobError("code", "why")),
        EventType.JOB_DEAD,
    ),
    "cancelled": (lambda job: job.claimed("w", NOW).cancelled(NOW), EventType.JOB_CANCELLED),
    "expired": (lambda job: job.claimed("w", NOW).expired(NOW), EventType.JOB_EXPIRED),
}

BATCH_ENDINGS: dict[str, tuple[Callable[[Batch], Batch], EventType]] = {
    "completed": (
        lambda batch: batch.begun(NOW, 0, None).lines_ended(NOW).written(NOW, Results()),
        EventType.BATCH_COMPLETED,
    ),
    "failed": (lambda batch: batch.refused(NOW, []), EventType.BATCH_FAILED),
    "expired": (
        lambda batch: (
            batch.begun(NOW, 0, None).lines_ended(NOW).written(NOW, Results(expired=True))
        ),
        EventType.BATCH_EXPIRED,
    ),
    "cancelled": (
        lambda batch: batch.cancelling(NOW).written(NOW, Results()),
        EventType.BATCH_CANCELLED,
    ),
}


class WebhookSuite:
    """The contracts of `headpond.ports.outbox` and `headpond.ports.endpoints`. SPEC G3."""

    @pytest.fixture
    async def stores(self) -> Stores:
        raise NotImplementedError("give the suite its stores")

    async def end(self, stores: Stores, ending: Ending, job: Job | None = None) -> Job:
        """Run a job to an end."""
        added = (await stores.jobs.add(new_job(job or a_job()))).job
        assert await stores.jobs.swap(added.claimed("w", NOW))
        ended = ending(added)
        assert await stores.jobs.swap(ended, RESPONSE)
        return ended

    async def all(self, stores: Stores, endpoint: str = "we_1") -> list[Dispatch]:
        return await stores.outbox.find(DispatchQuery(endpoint=EndpointId(endpoint)))

    async def lease(self, stores: Stores, now: float = NOW, limit: int = 10) -> list[Dispatch]:
        to = Destination(EndpointId("we_1"))
        return await stores.outbox.lease(to, now=now, limit=limit, lease_s=LEASE_S)

    async def due(self, stores: Stores, now: float = NOW) -> list[str]:
        return [one.endpoint for one in (await stores.outbox.look(now, limit=10)).due]

    async def test_an_endpoint_is_added_once(self, stores: Stores) -> None:
        assert await stores.endpoints.add(an_endpoint())
        assert not await stores.endpoints.add(an_endpoint(name="another"))
        assert await stores.endpoints.get(EndpointId("we_1")) == an_endpoint()
        assert await stores.endpoints.get(EndpointId("we_2")) is None

    async def test_a_team_s_endpoints_are_listed_oldest_first(self, stores: Stores) -> None:
        second, first = an_endpoint("we_1", created_at=NOW + 1), an_endpoint("we_2")
        for endpoint in (second, first, an_endpoint("we_3", team="other")):
            await stores.endpoints.add(endpoint)
        assert await stores.endpoints.of_team("team") == [first, second]

    async def test_an_endpoint_is_replaced_under_its_version(self, stores: Stores) -> None:
        await stores.endpoints.add(an_endpoint())
        after = an_endpoint().updated(name="new")
        assert await stores.endpoints.swap(after)
        assert not await stores.endpoints.swap(after)
        assert not await stores.endpoints.swap(an_endpoint("we_2").updated())
        assert await stores.endpoints.get(EndpointId("we_1")) == after

    async def test_an_endpoint_goes_with_what_was_on_its_way_to_it(self, stores: Stores) -> None:
        for name in ("we_1", "we_2"):
            await stores.endpoints.add(an_endpoint(name))
        await stores.outbox.publish(an_event())
        assert await stores.endpoints.remove(EndpointId("we_1"))
        assert not await stores.endpoints.remove(EndpointId("we_1"))
        assert await self.all(stores) == []
        assert len(await self.all(stores, "we_2")) == 1

    @pytest.mark.parametrize("name", ENDINGS)
    async def test_a_job_that_ends_leaves_its_event(self, stores: Stores, name: str) -> None:
        ending, kind = ENDINGS[name]
        await stores.endpoints.add(an_endpoint())
        ended = await self.end(stores, ending)
        (dispatch,) = await self.all(stores)
        assert dispatch.event == job_event(ended)
        assert dispatch.event.type is kind
        assert (dispatch.state, dispatch.due_at) == (DispatchState.PENDING, NOW)

    @pytest.mark.parametrize("name", ENDINGS)
    async def test_a_job_that_has_ended_when_it_is_added_leaves_its_event_once(
        self, stores: Stores, name: str
    ) -> None:
        await stores.endpoints.add(an_endpoint())
        ended = ENDINGS[name][0](a_job(callback=CALLBACK))
        for _ in range(2):
            await stores.jobs.add(new_job(ended))
        for endpoint in ("we_1", callbacks_of("team")):
            (dispatch,) = await self.all(stores, endpoint)
            assert dispatch.event == job_event(ended)

    @pytest.mark.parametrize("name", ENDINGS)
    async def test_a_response_in_the_background_leaves_two(self, stores: Stores, name: str) -> None:
        await stores.endpoints.add(an_endpoint())
        response = a_job(background=True, callback=CALLBACK)
        ended = await self.end(stores, ENDINGS[name][0], response)
        told = {dispatch.event.type: dispatch.event for dispatch in await self.all(stores)}
        assert told == {event.type: event for event in job_events(ended)}
        assert len(told) == 2
        (called,) = await self.all(stores, callbacks_of("team"))
        assert called.event == job_event(ended)

    async def test_a_job_that_goes_on_leaves_nothing(self, stores: Stores) -> None:
        await stores.endpoints.add(an_endpoint())
        job = (await stores.jobs.add(new_job())).job
        assert await stores.jobs.swap(job.claimed("w", NOW))
        assert await self.all(stores) == []

    async def test_a_swap_that_fails_leaves_nothing(self, stores: Stores) -> None:
        await stores.endpoints.add(an_endpoint())
        job = (await stores.jobs.add(new_job(a_job(callback=CALLBACK)))).job
        assert await stores.jobs.swap(job.enqueued(NOW))
        assert not await stores.jobs.swap(job.cancelled(NOW), RESPONSE)
        assert await stores.outbox.untold() == Untold(0)
        bodies = await stores.jobs.bodies(job.id)
        assert bodies is not None
        assert bodies.response is None

    @pytest.mark.parametrize("name", BATCH_ENDINGS)
    async def test_a_batch_that_ends_leaves_its_event(self, stores: Stores, name: str) -> None:
        ending, kind = BATCH_ENDINGS[name]
        await stores.endpoints.add(an_endpoint())
        ended = ending(a_batch())
        before = replace(ended, version=ended.version - 1, ended_at=None)
        await stores.batches.add(before)
        assert await stores.batches.swap(ended)
        assert not await stores.batches.swap(ended)
        (dispatch,) = await self.all(stores)
        assert dispatch.event == batch_event(ended)
        assert (dispatch.event.type, dispatch.due_at) == (kind, NOW)

    async def test_a_batch_that_goes_on_leaves_nothing(self, stores: Stores) -> None:
        await stores.endpoints.add(an_endpoint())
        batch = a_batch()
        await stores.batches.add(batch)
        assert await stores.batches.swap(batch.begun(NOW, 1, None))
        assert not await stores.batches.swap(batch.refused(NOW, []))
        assert await self.all(stores) == []

    async def test_only_who_wants_it_is_told(self, stores: Stores) -> None:
        types = (EventType.JOB_FAILED,)
        for endpoint in (
            an_endpoint("we_1", team="other"),
            an_endpoint("we_2", event_types=types),
            an_endpoint("we_3", disabled_at=NOW),
            an_endpoint("we_4"),
        ):
            await stores.endpoints.add(endpoint)
        await self.end(stores, ENDINGS["succeeded"][0])
        told = [name for name in ("we_1", "we_2", "we_3", "we_4") if await self.all(stores, name)]
        assert told == ["we_4"]

    async def test_a_callback_needs_no_endpoint(self, stores: Stores) -> None:
        await self.end(stores, ENDINGS["succeeded"][0], a_job(callback=CALLBACK))
        await self.end(stores, ENDINGS["succeeded"][0])
        (dispatch,) = await self.all(stores, callbacks_of("team"))
        assert dispatch.url == CALLBACK

    async def test_an_event_is_published_once(self, stores: Stores) -> None:
        await stores.endpoints.add(an_endpoint())
        await stores.outbox.publish(an_event())
        (leased,) = await self.lease(stores)
        await stores.outbox.publish(an_event())
        assert await self.all(stores) == [leased]
        assert await stores.outbox.get(EndpointId("we_1"), EventId("msg_1")) == leased
        assert await stores.outbox.get(EndpointId("we_1"), EventId("msg_2")) is None

    async def test_destinations_with_something_due_are_known(self, stores: Stores) -> None:
        for name in ("we_1", "we_2", "we_3"):
            await stores.endpoints.add(an_endpoint(name))
        assert await stores.outbox.look(NOW, limit=10) == Look([])
        for number in range(3):
            await stores.outbox.publish(an_event(number, occurred_at=NOW + number))
        assert await self.due(stores, NOW - 1) == []
        assert await self.due(stores) == ["we_1", "we_2", "we_3"]
        await self.lease(stores, NOW)
        assert await self.due(stores) == ["we_2", "we_3"]

    async def test_destinations_are_looked_at_some_at_a_time(self, stores: Stores) -> None:
        first, *_ = everybody = [Destination(EndpointId(f"we_{number}")) for number in (1, 2, 3)]
        for one in everybody:
            await stores.endpoints.add(an_endpoint(one.endpoint))
        await stores.outbox.publish(an_event())
        await self.lease(stores)
        assert await stores.outbox.look(NOW, limit=1) == Look([], first)
        look = await stores.outbox.look(NOW, limit=1, after=first)
        assert look == Look([everybody[1]], everybody[1])
        assert await stores.outbox.look(NOW, limit=1, after=look.end) == Look([everybody[2]])

    async def test_callbacks_wait_apart_for_each_origin(self, stores: Stores) -> None:
        urls = ["https://a.example/1", "https://A.example/2", "https://b.example?3"]
        for number, url in enumerate(urls):
            job = a_job(id=JobId(f"job_{number}"), ticket=Ticket(str(number)), callback=url)
            await self.end(stores, ENDINGS["cancelled"][0], job)
        to = callbacks_of("team")
        first, second = Destination(to, "https://a.example"), Destination(to, "https://b.example")
        assert await stores.outbox.look(NOW, limit=10) == Look([first, second])
        leased = await stores.outbox.lease(first, now=NOW, limit=10, lease_s=LEASE_S)
        assert [dispatch.url for dispatch in leased] == urls[:2]
        assert await stores.outbox.look(NOW, limit=10) == Look([second])
        assert await stores.outbox.look(NOW, limit=10, after=second) == Look([])

    @pytest.mark.parametrize("team", LONGEST)
    @pytest.mark.parametrize("host", ["a" * 253, HOST])
    async def test_whatever_names_a_destination_has_it_is_told_and_delays_nobody(
        self, stores: Stores, team: str, host: str
    ) -> None:
        to, callback = callbacks_of(team), f"https://{host}:8443/hook"
        hears = an_endpoint("we_2", team=team)
        for endpoint in (an_endpoint(), hears, an_endpoint(to, team=team, url=None)):
            assert await stores.endpoints.add(endpoint)
        assert {one.id for one in await stores.endpoints.of_team(team)} == {to, hears.id}
        assert await stores.endpoints.swap(an_endpoint(to, team=team, url=None, version=2))
        ends = [
            await self.end(stores, ENDINGS["cancelled"][0], a_job(team=who, callback=callback))
            for who in ("team", team)
        ]
        look = await stores.outbox.look(NOW, limit=10)
        assert len({*look.due}) == 4
        step, seen = await stores.outbox.look(NOW, limit=1), look.due[:1]
        while step.end is not None:
            step = await stores.outbox.look(NOW, limit=1, after=step.end)
            seen += step.due
        assert seen == look.due
        told: list[Dispatch] = []
        for destination in look.due:
            told += await stores.outbox.lease(destination, now=NOW, limit=9, lease_s=LEASE_S)
        assert {(one.endpoint, one.event) for one in told} == {
            (EndpointId("we_1"), job_event(ends[0])),
            (callbacks_of("team"), job_event(ends[0])),
            (hears.id, job_event(ends[1])),
            (to, job_event(ends[1])),
        }
        assert await stores.outbox.look(NOW, limit=10) == Look([])
        for dispatch in told:
            assert await stores.outbox.swap(dispatch.delivered(NOW, 200))
        assert await stores.outbox.untold() == Untold(0)
        assert [one.url for one in await self.all(stores, to)] == [callback]
        assert await stores.endpoints.remove(hears.id)
        assert await stores.outbox.forget(LATER, limit=10) == 3

    async def test_a_lease_gives_a_dispatch_to_one(self, stores: Stores) -> None:
        await stores.endpoints.add(an_endpoint())
        for number in (2, 1, 3):
            await stores.outbox.publish(an_event(number, occurred_at=NOW - number))
        first = await self.lease(stores, limit=2)
        second = await self.lease(stores)
        assert [one.event.id for one in first + second] == ["msg_3", "msg_2", "msg_1"]
        assert [one.attempts for one in first + second] == [1, 1, 1]
        assert await self.lease(stores, NOW + LEASE_S - 1) == []
        assert len(await self.lease(stores, NOW + LEASE_S)) == 3

    async def test_a_lapsed_lease_can_note_nothing(self, stores: Stores) -> None:
        await stores.endpoints.add(an_endpoint())
        await stores.outbox.publish(an_event())
        (old,) = await self.lease(stores)
        (new,) = await self.lease(stores, NOW + LEASE_S)
        assert not await stores.outbox.swap(old.delivered(NOW, 200))
        delivered = new.delivered(NOW + LEASE_S, 204)
        assert await stores.outbox.swap(delivered)
        assert await self.all(stores) == [delivered]
        assert await self.lease(stores, NOW + 10 * LEASE_S) == []
        assert not await stores.outbox.swap(replace(new, endpoint=EndpointId("we_2")))

    async def test_what_is_sent_again_is_due_again(self, stores: Stores) -> None:
        await stores.endpoints.add(an_endpoint())
        await stores.outbox.publish(an_event())
        (leased,) = await self.lease(stores)
        failed = leased.given_up(NOW, 500, "It answered 500.")
        assert await stores.outbox.swap(failed)
        assert await stores.outbox.untold() == Untold(0)
        assert await stores.outbox.swap(failed.redelivered(NOW + 60))
        assert await stores.outbox.untold() == Untold(1, NOW)
        (again,) = await self.lease(stores, NOW + 60)
        assert (again.event, again.attempts) == (leased.event, 1)

    async def test_deliveries_are_found_page_by_page(self, stores: Stores) -> None:
        await stores.endpoints.add(an_endpoint())
        for number in range(5):
            await stores.outbox.publish(an_event(number))
        (leased,) = await self.lease(stores, limit=1)
        await stores.outbox.swap(leased.delivered(NOW, 200))
        query = DispatchQuery(endpoint=EndpointId("we_1"), limit=2)
        first = await stores.outbox.find(query)
        assert [one.event.id for one in first] == ["msg_4", "msg_3"]
        second = await stores.outbox.find(replace(query, after=first[-1].event.id))
        assert [one.event.id for one in second] == ["msg_2", "msg_1"]
        delivered = await stores.outbox.find(replace(query, state=DispatchState.DELIVERED))
        assert [one.event.id for one in delivered] == ["msg_0"]

    async def test_the_backlog_is_what_nobody_was_told(self, stores: Stores) -> None:
        await stores.endpoints.add(an_endpoint())
        assert await stores.outbox.untold() == Untold(0)
        for number in range(3):
            await stores.outbox.publish(an_event(number, occurred_at=NOW + number))
        (leased,) = await self.lease(stores)
        await stores.outbox.swap(leased.delivered(NOW, 200))
        assert await stores.outbox.untold() == Untold(2, NOW + 1)

    async def test_what_ended_long_ago_is_forgotten(self, stores: Stores) -> None:
        await stores.endpoints.add(an_endpoint())
        for number in range(4):
            await stores.outbox.publish(an_event(number))
        for leased, ended_at in zip(await self.lease(stores), (NOW, NOW + 1, LATER), strict=False):
            await stores.outbox.swap(leased.delivered(ended_at, 200))
        assert await stores.outbox.forget(NOW, limit=10) == 0
        assert await stores.outbox.forget(LATER, limit=1) == 1
        assert await stores.outbox.forget(LATER, limit=10) == 1
        assert len(await self.all(stores)) == 2
