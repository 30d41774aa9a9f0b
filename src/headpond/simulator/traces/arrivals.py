"""What a trace is, and what is common to all."""

from collections.abc import Iterator
from typing import Protocol

import msgspec


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One request, `at_s` seconds after the trace's beginning."""

    at_s: float
    prompt_tokens: int
    answer_tokens: int


class Bin(msgspec.Struct, frozen=True, gc=False):
    """What arrives within one step: requests, and their tokens together."""

    requests: float
    prompt_tokens: float
    answer_tokens: float


class Trace(Protocol):
    """Requests over time. A seed stands for the same requests each time."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def span_s(self) -> float:
        """Its length in seconds."""
        ...

    def arrivals(self, seed: int) -> Iterator[Arrival]:
        """Each request, in the order of time."""
        ...

    def bins(self, seed: int, step_s: float) -> Iterator[Bin]:
        """The same requests, counted in steps; one bin for each step of the span."""
        ...


def binned(arrivals: Iterator[Arrival], *, span_s: float, step_s: float) -> Iterator[Bin]:
    """Count requests in steps."""
    number = requests = prompt_tokens = answer_tokens = 0
    for arrival in arrivals:
        while arrival.at_s >= (number + 1) * step_s:
            yield Bin(requests, prompt_tokens, answer_tokens)
            number += 1
            requests = prompt_tokens = answer_tokens = 0
        requests += 1
        prompt_tokens += arrival.prompt_tokens
        answer_tokens += arrival.answer_tokens
    while number * step_s < span_s:
        yield Bin(requests, prompt_tokens, answer_tokens)
        number += 1
        requests = prompt_tokens = answer_tokens = 0
