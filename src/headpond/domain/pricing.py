"""What tokens cost: here, and at somebody else's API.

An API's prices change; each says where it was seen and when, and is a comparison, not an offer.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from headpond.domain.work import Work

PER_MILLION = 1_000_000


class TokenPrice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a pool's tokens are charged at, in US dollars for a million."""

    input: Annotated[float, Meta(ge=0, description="US dollars for a million prompt tokens")]
    output: Annotated[float, Meta(ge=0, description="US dollars for a million answer tokens")]

    def of(self, work: Work) -> float:
        """US dollars for so much work."""
        return (work.prompt_tokens * self.input + work.answer_tokens * self.output) / PER_MILLION


class ApiPrice(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars for a million tokens. `batch_share` is what the same costs as a batch."""

    model: str
    input: float
    output: float
    batch_share: float
    source: str
    seen: str


BATCH_SHARE = 0.5
"""OpenAI's Batch API halves both prices (developers.openai.com/api/docs/pricing)."""

API_PRICES = (
    ApiPrice(
        model="gpt-4o-mini",
        input=0.15,
        output=0.60,
        batch_share=BATCH_SHARE,
        source="https://openrouter.ai/openai/gpt-4o-mini-2024-07-18",
        seen="2026-11-23",
    ),
    ApiPrice(
        model="gpt-5-nano",
        input=0.05,
        output=0.40,
        batch_share=BATCH_SHARE,
        source="https://developers.openai.com/api/docs/models/gpt-5-nano",
        seen="2026-11-23",
    ),
)
"""Small models that an API offers for work of this kind; seen in stored copies of these pages."""


def cost(price: ApiPrice, *, prompt_tokens: int, completion_tokens: int) -> float:
    """US dollars, one request at a time."""
    return (prompt_tokens * price.input + completion_tokens * price.output) / PER_MILLION


def batch_cost(price: ApiPrice, *, prompt_tokens: int, completion_tokens: int) -> float:
    """US dollars, as a batch."""
    tokens_cost = cost(price, prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    return tokens_cost * price.batch_share
