"""Shares of a lane: eight teams with unequal backlogs and jobs, and one that comes late.

usage: python -m benchmarks.fairness [--subjects sqlite/fair,sqlite/fifo] [--scale 1]

No time is measured, so the machine does not matter: the engine is taken to work off so many tokens
a second. First in, first out is the same queue with all jobs sent as one team's.
"""

import argparse
import asyncio
import random
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.harness.errors import CannotRunError
from benchmarks.harness.options import chosen
from headpond.adapters.memory.queue import MemoryQueue
from headpond.adapters.sqlite.database import Database
from headpond.adapters.sqlite.queue import SqliteQueue
from headpond.domain.job import JobId, Ticket
from headpond.domain.lane import Lane, Priority
from headpond.ports.queue import Message, Queue
from headpond.testing.clocks import ManualClock

LANE: Final = Lane("default", Priority.BATCH)
AT_ONCE: Final = 16
LEASE_S: Final = 60.0
TOKENS_PER_S: Final = 5_000
PERIODS: Final = 4
PERIOD_TOKENS: Final = 1_000_000
NEWCOMER: Final = "newcomer"
SEED: Final = 20261123


@dataclass(frozen=True, slots=True)
class Team:
    """How many jobs a team has queued, of how many tokens each, and its weight."""

    name: str
    jobs: int
    tokens: int
    weight: float = 1.0


TEAMS: Final = (
    Team("titles", 100_000, 50),
    Team("search", 20_000, 200),
    Team("mail", 12_000, 400),
    Team("reports", 6_000, 1_000, weight=2.0),
    Team("legal", 2_000, 2_000),
    Team("support", 6_000, 300),
    Team("audit", 1_000, 4_000),
    Team("search-2", 3_000, 500),
)


@dataclass(frozen=True, slots=True)
class Found:
    """Each period's tokens by team, and what the newcomer's first job waited for."""

    periods: Sequence[Mapping[str, int]]
    waited_s: float
    jobs_before: int


def jain_index(values: Sequence[float]) -> float:
    """1 when all are equal, 1/n when one has all (R. Jain, D. Chiu, W. Hawe, DEC TR-301, 1984)."""
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))


class Bench:
    """One queue worked off by one engine that takes `AT_ONCE` jobs at a time."""

    def __init__(self, queue: Queue, *, fair: bool) -> None:
        self._queue = queue
        self._fair = fair
        self._team_of: dict[str, str] = {}

    async def measure(self, teams: Sequence[Team]) -> Found:
        """Fill the lane, work it off for some periods, then let the newcomer come."""
        jobs = [team for team in teams for _ in range(team.jobs)]
        random.Random(SEED).shuffle(jobs)
        await self._queue.send([self._message(team) for team in jobs])
        periods = [await self._period() for _ in range(PERIODS)]
        await self._queue.send([self._message(Team(NEWCOMER, 1, 200))])
        tokens, jobs_before = 0, 0
        while done := await self._work():
            for team, work_tokens in done:
                if team == NEWCOMER:
                    return Found(periods, tokens / TOKENS_PER_S, jobs_before)
                tokens += work_tokens
                jobs_before += 1
        raise CannotRunError("the newcomer's job was lost")

    async def _period(self) -> Counter[str]:
        tokens: Counter[str] = Counter()
        while tokens.total() < PERIOD_TOKENS:
            for team, work_tokens in await self._work():
                tokens[team] += work_tokens
        return tokens

    async def _work(self) -> list[tuple[str, int]]:
        """One round of the engine: team and tokens of each job, in the order of their begin."""
        leases = await self._queue.receive([LANE], limit=AT_ONCE, lease_s=LEASE_S)
        await self._queue.ack(leases)
        return [
            (self._team_of[lease.message.job_id], lease.message.work_tokens) for lease in leases
        ]

    def _message(self, team: Team) -> Message:
        number = str(len(self._team_of))
        self._team_of[number] = team.name
        name, weight = (team.name, team.weight) if self._fair else ("everybody", 1.0)
        return Message(JobId(number), Ticket(number), LANE, name, team.tokens, weight)


@asynccontextmanager
async def memory(clock: ManualClock) -> AsyncGenerator[Queue]:
    """The queue in memory."""
    yield MemoryQueue(clock)


@asynccontextmanager
async def sqlite(clock: ManualClock) -> AsyncGenerator[Queue]:
    """The queue in a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "headpond.db", inline=True)
        database.open()
        try:
            yield SqliteQueue(database, clock)
        finally:
            await database.close()


Opened = Callable[[ManualClock], AbstractAsyncContextManager[Queue]]
SUBJECTS: Final[Mapping[str, tuple[Opened, bool]]] = {
    "sqlite/fair": (sqlite, True),
    "sqlite/fifo": (sqlite, False),
    "memory/fair": (memory, True),
    "memory/fifo": (memory, False),
}


async def measured(name: str, teams: Sequence[Team]) -> Found:
    """Measure one subject."""
    opened, fair = SUBJECTS[name]
    async with opened(ManualClock()) as queue:
        return await Bench(queue, fair=fair).measure(teams)


def report(name: str, found: Found, teams: Sequence[Team]) -> str:
    """The shares of each team in each period, Jain's index and the newcomer's wait."""
    heading = "".join(f"{f'period {number + 1}':>11}" for number in range(len(found.periods)))
    lines = [f"{name:<12}{'jobs':>9}{'tokens':>8}{'weight':>8}{heading}{'fair':>9}"]
    weights = sum(team.weight for team in teams)
    for team in teams:
        shares = "".join(f"{of[team.name] / sum(of.values()):>11.1%}" for of in found.periods)
        facts = f"{team.name:<12}{team.jobs:>9,}{team.tokens:>8,}{team.weight:>8.0f}"
        lines.append(f"{facts}{shares}{team.weight / weights:>9.1%}")
    indices = [jain_index([of[team.name] / team.weight for team in teams]) for of in found.periods]
    lines.append(f"{'Jain':<37}" + "".join(f"{index:>11.4f}" for index in indices))
    waited = f"{found.waited_s:,.1f} s of engine time, {found.jobs_before:,} jobs before it"
    return "\n".join([*lines, f"the newcomer's first job waited {waited}", ""])


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(prog="benchmarks.fairness", description=__doc__)
    parser.add_argument("--subjects", default=",".join(SUBJECTS), help="names or beginnings")
    parser.add_argument("--scale", type=int, default=1, help="times as many jobs (default: 1)")
    options = parser.parse_args()
    teams = [Team(team.name, team.jobs * options.scale, team.tokens, team.weight) for team in TEAMS]
    settings = f"{AT_ONCE} jobs at a time, {TOKENS_PER_S:,} tokens a second"
    sys.stdout.write(f"fairness: {settings}, periods of {PERIOD_TOKENS:,} tokens\n\n")
    for name in chosen(list(SUBJECTS), options.subjects, parser):
        found = asyncio.run(measured(name, teams))
        sys.stdout.write(report(name, found, teams) + "\n")


if __name__ == "__main__":
    main()
