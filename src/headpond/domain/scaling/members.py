"""The workers of a fleet, put together from what the fleet and what they themselves say."""

from collections.abc import Sequence
from enum import Enum, auto

import msgspec

from headpond.domain.pace import FRESH_S, WorkerReport
from headpond.domain.scaling.observation import ColdStart, Crew, Rate
from headpond.domain.statistics import percentile
from headpond.domain.throughput import Throughput


class Standing(Enum):
    """How far a worker is, as its platform sees it, whatever the worker itself reports."""

    PENDING = auto()
    """Asked for, and not started as a whole: it waits for a machine, an image or its engine."""
    STARTED = auto()
    """It runs, and is not held for ready: it fails its checks, or its machine is silent."""
    READY = auto()
    """Nothing is known that speaks against it."""


class Member(msgspec.Struct, frozen=True):
    """A worker of a fleet, by the name that it reports under; asked for at a Unix time.

    `why` says in its platform's words why it is not ready; empty where it is, or nothing is said.
    """

    name: str
    asked_at: float
    draining: bool = False
    standing: Standing = Standing.READY
    why: str = ""


def crew_of(members: Sequence[Member], reports: Sequence[WorkerReport], now: float) -> Crew:
    """Who works, who is starting, who is about to go; `members` are given the oldest first.

    A worker works when it says so and its platform does not deny it.
    """
    well = {report.worker for report in reports if report.healthy and now - report.at < FRESH_S}
    staying = [member for member in members if not member.draining]
    starting = [
        member
        for member in staying
        if member.name not in well or member.standing is not Standing.READY
    ]
    return Crew(
        ready=len(staying) - len(starting),
        starting=tuple(member.asked_at for member in starting),
        draining=len(members) - len(staying),
        pending=sum(member.standing is Standing.PENDING for member in starting),
        why=next((member.why for member in starting if member.why), ""),
    )


def first_to_go(members: Sequence[Member], reports: Sequence[WorkerReport]) -> list[str]:
    """Who is missed least first: those that are starting, then those with the least in flight."""
    in_flight = {report.worker: report.in_flight for report in reports if report.healthy}
    staying = [member for member in members if not member.draining]
    return [
        member.name
        for member in sorted(staying, key=lambda m: (in_flight.get(m.name, -1), -m.asked_at))
    ]


def rate_of(reports: Sequence[WorkerReport]) -> Rate | None:
    """What a worker does when it is full, None where nothing ran yet.

    What was measured of full ones goes first. Until then it is what their engines have room for,
    at the pace of the latest runs; that is too much where a full engine is slower.
    """
    full = sum((report.full for report in reports), start=Throughput())
    if full.known:
        return Rate(full.jobs / full.span_s, full.work_tokens / full.span_s)
    rates = [
        Rate(report.capacity / report.run_s, report.capacity / report.token_s)
        for report in reports
        if report.run_s and report.token_s
    ]
    if not rates:
        return None
    return Rate(
        sum(rate.jobs for rate in rates) / len(rates),
        sum(rate.work_tokens for rate in rates) / len(rates),
    )


def began_in_s(
    members: Sequence[Member], reports: Sequence[WorkerReport], known: frozenset[str]
) -> dict[str, float]:
    """Seconds from asking for each worker until its engine was healthy; not of those `known`."""
    asked = {member.name: member.asked_at for member in members if member.name not in known}
    return {
        report.worker: max(0.0, report.started_at + report.cold_start_s - asked[report.worker])
        for report in reports
        if report.worker in asked and report.cold_start_s is not None
    }


def cold_start_of(seconds: Sequence[float]) -> ColdStart | None:
    """What lately measured cold starts say, None without any."""
    if not seconds:
        return None
    return ColdStart(percentile(seconds, 0.5), percentile(seconds, 0.9))
