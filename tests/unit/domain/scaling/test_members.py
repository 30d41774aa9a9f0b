"""Who works, from what workers report and what their platform says of them."""

import msgspec

from headpond.domain.pace import WorkerReport
from headpond.domain.scaling.members import Member, Standing, crew_of
from headpond.domain.scaling.observation import Crew, Observation
from headpond.domain.scaling.state import ScalingStep
from headpond.domain.scaling.stored import record_of, step_of

NOW = 1_795_996_800.0


def well(worker: str) -> WorkerReport:
    return WorkerReport(
        worker=worker,
        pool="default",
        at=NOW,
        started_at=NOW - 60,
        healthy=True,
        in_flight=0,
        capacity=4,
    )


def test_who_says_so_works_where_its_platform_does_not_deny_it() -> None:
    members = [
        Member("works", 1.0),
        Member("silent", 2.0),
        Member("denied", 3.0, standing=Standing.STARTED),
        Member("drains", 4.0, draining=True, standing=Standing.STARTED, why="on its way"),
    ]
    reports = [well("works"), well("denied"), well("drains"), well("stranger")]
    assert crew_of(members, reports, NOW) == Crew(ready=1, starting=(2.0, 3.0), draining=1)


def test_those_that_are_pending_are_starting_and_the_oldest_that_is_told_of_says_why() -> None:
    members = [
        Member("works", 1.0),
        Member("new", 2.0, standing=Standing.PENDING),
        Member("far", 3.0, standing=Standing.PENDING, why="Unschedulable: no room"),
        Member("ill", 4.0, standing=Standing.STARTED, why="CrashLoopBackOff"),
    ]
    crew = crew_of(members, [well("works")], NOW)
    assert crew == Crew(1, (2.0, 3.0, 4.0), pending=2, why="Unschedulable: no room")
    assert crew.size == 4


class EarlierCrew(msgspec.Struct, frozen=True):
    """As it was before platforms were asked."""

    ready: int = 0
    starting: tuple[float, ...] = ()
    draining: int = 0


def a_step(crew: Crew) -> ScalingStep:
    seen = Observation(crew=crew)
    return ScalingStep(pool="default", at=NOW, before=1, target=2, why="more came", seen=seen)


def test_releases_that_ask_platforms_and_those_that_do_not_read_each_other() -> None:
    step = a_step(Crew(1, (NOW,), pending=1, why="Unschedulable"))
    assert step_of(record_of(step)) == step
    seen = msgspec.json.decode(record_of(step))["seen"]["crew"]
    assert msgspec.convert(seen, EarlierCrew) == EarlierCrew(1, (NOW,))
    earlier = msgspec.to_builtins(step) | {
        "seen": {"crew": msgspec.to_builtins(EarlierCrew(1, (NOW,)))}
    }
    assert step_of(msgspec.json.encode(earlier)) == a_step(Crew(1, (NOW,)))
