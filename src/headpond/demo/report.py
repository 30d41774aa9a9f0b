"""What the demo measured."""

from collections.abc import Sequence

import msgspec

from headpond.demo.titles import Title
from headpond.domain.job import JobState
from headpond.domain.pricing import API_PRICES, batch_cost, cost
from headpond.domain.statistics import percentile, wilson_interval

CONFIDENT = 0.92
GOOD_ACCURACY = 0.95


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it ended, with what the report needs of it."""

    status: JobState
    text: str | None
    confidence: float | None
    waited_s: float
    served_s: float
    prompt_tokens: int
    completion_tokens: int


class Share(msgspec.Struct, frozen=True):
    """`right` of `total`, with the 95 % interval of the share (Wilson)."""

    right: int
    total: int
    share: float
    low: float
    high: float


class Spread(msgspec.Struct, frozen=True):
    """Seconds."""

    p50_s: float
    p99_s: float


class ApiCost(msgspec.Struct, frozen=True, kw_only=True):
    """What the same tokens cost at an API, in US dollars."""

    model: str
    usd: float
    batch_usd: float
    source: str
    seen: str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`wait` is from accepted to started, `service` from started to finished."""

    titles: int
    succeeded: int
    accuracy: Share
    confident: Share
    seconds: float
    jobs_per_s: float
    tokens_per_s: float
    wait: Spread
    service: Spread
    prompt_tokens: int
    completion_tokens: int
    api_costs: list[ApiCost]

    @property
    def good(self) -> bool:
        """Every job succeeded, and the answers are as right as they should be."""
        return self.succeeded == self.titles and self.accuracy.share >= GOOD_ACCURACY


def report(titles: Sequence[Title], results: Sequence[Result], seconds: float) -> Report:
    """Judge the results, one for each title; `seconds` from the first submit to the last end."""
    pairs = list(zip(titles, results, strict=True))
    right = [result.text == title.category for title, result in pairs]
    confident = [(result.confidence or 0.0) >= CONFIDENT for result in results]
    prompt_tokens = sum(result.prompt_tokens for result in results)
    completion_tokens = sum(result.completion_tokens for result in results)
    return Report(
        titles=len(titles),
        succeeded=sum(result.status is JobState.SUCCEEDED for result in results),
        accuracy=_share(sum(right), len(right)),
        confident=_share(
            sum(hit for hit, sure in zip(right, confident, strict=True) if sure), sum(confident)
        ),
        seconds=seconds,
        jobs_per_s=len(titles) / seconds,
        tokens_per_s=(prompt_tokens + completion_tokens) / seconds,
        wait=_spread([result.waited_s for result in results]),
        service=_spread([result.served_s for result in results]),
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        api_costs=[
            ApiCost(
                model=price.model,
                usd=cost(price, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens),
                batch_usd=batch_cost(
                    price, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens
                ),
                source=price.source,
                seen=price.seen,
            )
            for price in API_PRICES
        ],
    )


def _share(right: int, total: int) -> Share:
    low, high = wilson_interval(right, total)
    return Share(right, total, right / total if total else 0.0, low, high)


def _spread(values: Sequence[float]) -> Spread:
    return Spread(percentile(values, 0.5), percentile(values, 0.99))
