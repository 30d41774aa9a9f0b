"""Each cloud's notice that a machine goes, from a metadata service like its own."""

from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from headpond.adapters.metadata.azure import AT_ONCE_S, ScheduledEvents
from headpond.adapters.metadata.ec2 import SpotNotices
from headpond.adapters.metadata.ecs import TaskState, task_id
from headpond.adapters.metadata.google import NOTICE_S, Preemption
from headpond.errors import Unavailable
from headpond.ports.clock import Clock
from headpond.ports.notices import Notice, Notices
from headpond.testing.clocks import ManualClock
from tests.emulators.metadata_server import MACHINE, TASK, Metadata
from tests.emulators.serving import served

LEFT_S = 100.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_800_000_000.0)


@pytest.fixture
def metadata() -> Metadata:
    return Metadata()


@pytest.fixture
async def address(metadata: Metadata) -> AsyncGenerator[str]:
    async with served(metadata.app()) as url:
        yield url


def at(clock: Clock) -> datetime:
    return datetime.fromtimestamp(clock.now() + LEFT_S, UTC)


def spot(metadata: Metadata, clock: Clock) -> None:
    time = at(clock).strftime("%Y-%m-%dT%H:%M:%SZ")
    metadata.spot_action = {"action": "terminate", "time": time}


def event(clock: Clock | None, **more: object) -> dict[str, object]:
    time = "" if clock is None else format_datetime(at(clock), usegmt=True)
    known = {"EventId": "1", "EventType": "Preempt", "EventStatus": "Scheduled"}
    return known | {"Resources": ["worker_1", MACHINE], "NotBefore": time} | more


def eviction(metadata: Metadata, clock: Clock) -> None:
    metadata.events = [event(clock, Resources=["worker_1"]), event(clock)]


def preemption(metadata: Metadata, clock: Clock) -> None:
    del clock
    metadata.preempted = True


def stop(metadata: Metadata, clock: Clock) -> None:
    del clock
    metadata.desired_status = "STOPPED"


def google(clock: Clock, address: str) -> Notices:
    del clock
    return Preemption(address)


def task(clock: Clock, address: str) -> Notices:
    del clock
    return TaskState(f"{address}/v4")


CLOUDS: list[
    tuple[Callable[[Clock, str], Notices], Callable[[Metadata, Clock], None], str, float | None]
] = [
    (SpotNotices, spot, "EC2 will terminate this spot instance", LEFT_S),
    (ScheduledEvents, eviction, "Azure scheduled the event Preempt for this machine", LEFT_S),
    (google, preemption, "Google Cloud preempts this machine", NOTICE_S),
    (task, stop, "ECS stops this task", None),
]


@pytest.mark.parametrize(("cloud", "happens", "why", "left_s"), CLOUDS)
async def test_it_is_told_once_it_is_known(  # noqa: PLR0917 - a table of cases
    cloud: Callable[[Clock, str], Notices],
    happens: Callable[[Metadata, Clock], None],
    why: str,
    left_s: float | None,
    address: str,
    metadata: Metadata,
    clock: ManualClock,
) -> None:  # SPEC W4
    notices = cloud(clock, address)
    assert await notices.look() is None
    happens(metadata, clock)
    assert await notices.look() == Notice(why, left_s)


@pytest.mark.parametrize("cloud", [cloud for cloud, *_ in CLOUDS])
async def test_a_machine_of_another_cloud_is_unavailable(
    cloud: Callable[[Clock, str], Notices], clock: ManualClock
) -> None:
    with pytest.raises(Unavailable, match=r"metadata service at http://127\.0\.0\.1:9/"):
        await cloud(clock, "http://127.0.0.1:9").look()


async def test_what_does_not_end_this_machine_is_no_notice(
    address: str, metadata: Metadata, clock: ManualClock
) -> None:
    metadata.events = [event(clock, EventType="Freeze"), event(clock, Resources=["worker_1"])]
    assert await ScheduledEvents(clock, address).look() is None


@pytest.mark.parametrize("time", ["", "soon"])
async def test_an_event_without_a_time_is_taken_for_one_that_begins(
    address: str, metadata: Metadata, clock: ManualClock, time: str
) -> None:
    metadata.events = [event(None, EventStatus="Started", NotBefore=time)]
    notice = await ScheduledEvents(clock, address).look()
    assert notice is not None
    assert notice.left_s == AT_ONCE_S


async def test_nonsense_is_no_notice(address: str, metadata: Metadata, clock: ManualClock) -> None:
    metadata.spot_action = {"action": "terminate", "time": "soon"}
    with pytest.raises(Unavailable, match="EC2's metadata service said"):
        await SpotNotices(clock, address).look()
    metadata.events = [{"EventType": 1}]
    with pytest.raises(Unavailable, match="Azure's metadata service said"):
        await ScheduledEvents(clock, address).look()


async def test_a_task_of_ecs_knows_its_id(address: str) -> None:
    assert await task_id(f"{address}/v4") == TASK
    with pytest.raises(Unavailable, match="ECS's metadata endpoint said"):
        await task_id(address)
