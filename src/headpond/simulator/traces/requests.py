"""Traces that list their requests: public ones, and the own audit log's export.

Azure     AzurePublicDataset's LLM inference traces: CSV, TIMESTAMP, ContextTokens,
          GeneratedTokens (CC BY 4.0; Patel et al., Splitwise, ISCA 2024)
Mooncake  JSON lines, timestamp in ms, input_length, output_length (Apache-2.0; Qin et al.,
          FAST 2025)
audit     what `headpond audit export` writes
"""

import csv
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from operator import attrgetter

import msgspec
from typing_extensions import override

from headpond.domain.job import Job
from headpond.simulator.traces.arrivals import Arrival, Bin, Trace, binned

COPIES_WITHIN_S = 30.0
"""Copies of a request, in a trace that is made denser, come within so many seconds of it."""


class RequestTrace(Trace):
    """Requests as they were, or with `scale` so many times as many; their order is by time."""

    def __init__(
        self, name: str, arrivals: Sequence[Arrival], *, span_s: float, scale: float = 1.0
    ) -> None:
        self._name = name
        self._arrivals = [arrival for arrival in arrivals if arrival.at_s < span_s]
        self._span_s = span_s
        self._scale = scale

    @property
    @override
    def name(self) -> str:
        return self._name

    @property
    @override
    def span_s(self) -> float:
        return self._span_s

    @override
    def arrivals(self, seed: int) -> Iterator[Arrival]:
        if self._scale == 1:
            return iter(self._arrivals)
        return iter(sorted(self._copies(random.Random(seed)), key=attrgetter("at_s")))

    @override
    def bins(self, seed: int, step_s: float) -> Iterator[Bin]:
        return binned(self.arrivals(seed), span_s=self._span_s, step_s=step_s)

    def _copies(self, dice: random.Random) -> Iterator[Arrival]:
        for arrival in self._arrivals:
            copies = int(self._scale) + (dice.random() < self._scale % 1)
            for number in range(copies):
                later_s = dice.uniform(0, COPIES_WITHIN_S) if number else 0.0
                at_s = min(arrival.at_s + later_s, self._span_s)
                yield Arrival(at_s, arrival.prompt_tokens, arrival.answer_tokens)


def from_azure(lines: Iterable[str]) -> list[Arrival]:
    """The requests of an Azure trace. Raises ValueError, KeyError for what is none."""
    rows = csv.DictReader(lines)
    seen = [
        (
            datetime.fromisoformat(row["TIMESTAMP"][:26]).timestamp(),
            int(row["ContextTokens"]),
            int(row["GeneratedTokens"]),
        )
        for row in rows
    ]
    return from_moments(seen)


class _MooncakeLine(msgspec.Struct):
    timestamp: float
    input_length: int
    output_length: int


def from_mooncake(lines: Iterable[str]) -> list[Arrival]:
    """The requests of a Mooncake trace. Raises msgspec.DecodeError."""
    decoder = msgspec.json.Decoder(_MooncakeLine)
    read = [decoder.decode(line) for line in lines if line.strip()]
    return from_moments(
        [(line.timestamp / 1000, line.input_length, line.output_length) for line in read]
    )


class _AuditLine(msgspec.Struct):
    job: Job


def from_audit(lines: Iterable[str]) -> list[Arrival]:
    """The requests of an export of the audit log. Raises msgspec.DecodeError."""
    decoder = msgspec.json.Decoder(_AuditLine)
    return from_jobs(decoder.decode(line).job for line in lines if line.strip())


def from_jobs(jobs: Iterable[Job]) -> list[Arrival]:
    """Jobs when they were accepted, with the tokens that the engine counted.

    A job that never ran has its estimate, as if it were all prompt.
    """
    return from_moments(
        [
            (job.accepted_at, job.usage.prompt_tokens, job.usage.completion_tokens)
            if job.usage is not None
            else (job.accepted_at, job.work_tokens, 1)
            for job in jobs
        ]
    )


def from_moments(moments: Sequence[tuple[float, int, int]]) -> list[Arrival]:
    """Unix seconds, prompt and answer tokens, in any order; time begins with the first one."""
    if not moments:
        return []
    first = min(moment[0] for moment in moments)
    arrivals = (Arrival(at - first, max(1, asked), max(1, said)) for at, asked, said in moments)
    return sorted(arrivals, key=attrgetter("at_s"))
