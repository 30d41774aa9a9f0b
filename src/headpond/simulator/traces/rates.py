"""Traces that say only how many requests a second there are: measured rates, and formulas.

Requests come in steps of 5 s; their number in a step has `BURSTINESS` times the variance that
independent requests would have (a Poisson number around a gamma-distributed mean). Lengths are
drawn as K. Xiang et al. found them in production (ServeGen, arXiv 2505.09999): answers
exponential, prompts log-normal in their body.
"""

import math
import random
from collections.abc import Callable, Iterator

import msgspec
from typing_extensions import override

from headpond.simulator.traces.arrivals import Arrival, Bin, Trace, binned

STEP_S = 5.0
BURSTINESS = 3.0
PROMPT_SIGMA = 1.0
"""Of the logarithm of prompt lengths."""

SURELY_NORMAL = 50.0


class Flow(msgspec.Struct, frozen=True):
    """Requests a second at one moment, and their mean tokens."""

    per_s: float
    prompt_tokens: float
    answer_tokens: float


class RateTrace(Trace):
    """`flow` says what comes at a moment, in seconds from the beginning."""

    def __init__(
        self,
        name: str,
        flow: Callable[[float], Flow],
        *,
        span_s: float,
        burstiness: float = BURSTINESS,
    ) -> None:
        self._name = name
        self._flow = flow
        self._span_s = span_s
        self._burstiness = burstiness

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
        lengths = random.Random(f"{seed} lengths")
        for at_s, requests, flow in self._steps(seed):
            moments = sorted(at_s + lengths.random() * STEP_S for _ in range(requests))
            for moment in moments:
                asked = lengths.lognormvariate(0, PROMPT_SIGMA) / math.exp(PROMPT_SIGMA**2 / 2)
                said = lengths.expovariate(1)
                yield Arrival(
                    moment,
                    max(1, round(flow.prompt_tokens * asked)),
                    max(1, round(flow.answer_tokens * said)),
                )

    @override
    def bins(self, seed: int, step_s: float) -> Iterator[Bin]:
        if step_s != STEP_S:
            yield from binned(self.arrivals(seed), span_s=self._span_s, step_s=step_s)
            return
        for _, requests, flow in self._steps(seed):
            yield Bin(requests, requests * flow.prompt_tokens, requests * flow.answer_tokens)

    def _steps(self, seed: int) -> Iterator[tuple[float, int, Flow]]:
        dice = random.Random(seed)
        for number in range(math.ceil(self._span_s / STEP_S)):
            at_s = number * STEP_S
            flow = self._flow(at_s)
            yield at_s, bursty(flow.per_s * STEP_S, self._burstiness, dice), flow


def bursty(mean: float, burstiness: float, dice: random.Random) -> int:
    """A number around `mean` whose variance is `burstiness` (at least 1) times the mean."""
    if mean <= 0:
        return 0
    more = burstiness - 1
    return poisson(dice.gammavariate(mean / more, more) if more > 0 else mean, dice)


def poisson(mean: float, dice: random.Random) -> int:
    """A Poisson number (Knuth's product of uniforms); rounded from the normal for large means."""
    if mean > SURELY_NORMAL:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    least, product, number = math.exp(-mean), dice.random(), 0
    while product > least:
        product *= dice.random()
        number += 1
    return number
