"""Engine profiles: vLLM with a Llama-3-8B-class model on a card.

A name is a card and how the weights are kept: `L4/awq`, `A100/fp16`. Pace and cache follow from the
card's figures and the model's by the roofline of `pace.py`.
"""

import msgspec

from headpond.errors import InvalidRequest
from headpond.simulator.engine.cards import CARDS, Card
from headpond.simulator.engine.core import Engine
from headpond.simulator.engine.pace import Pace

PARAMETERS = 8.03e9
KV_BYTES = 131_072
"""A token's keys and values: 2 * 32 layers * 8 heads * 128 * 2 bytes (Llama 3's config.json)."""

MEMORY_SHARE = 0.9
OVERHEAD_BYTES = 1.24e9
"""What vLLM 0.19 kept besides weights and cache: 22.7 GB (0.9 of an RTX 4090's) less 16.06 GB of
weights left 41,408 tokens of cache."""

BASE_S = 0.001
PER_SEQUENCE_S = 2e-5
PER_ATTENDED_S = 2e-4
"""Scheduling, sampling and attention: fitted to the RTX 4090 measurement, taken for all cards."""


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """How the weights are kept; `slower` is what a matrix product takes compared with FP16."""

    bytes: float
    slower: float
    source: str


WEIGHTS = {
    "fp16": Weights(bytes=2 * PARAMETERS, slower=1.0, source="two bytes a parameter"),
    "awq": Weights(
        bytes=5.73e9,
        slower=1.15,
        source="size of hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4; Marlin kernels are a "
        "little slower than FP16 once a batch is large (IST-DASLab/marlin): an estimate",
    ),
}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """An engine with its name, and where its figures come from."""

    name: str
    card: Card
    engine: Engine
    source: str


def profile(name: str, *, max_sequences: int = 256) -> Profile:
    """The profile of that name. Raises InvalidRequest if there is none, or it does not fit."""
    card_name, _, kept = name.partition("/")
    card, weights = CARDS.get(card_name), WEIGHTS.get(kept or "fp16")
    if card is None or weights is None:
        message = (
            f"There is no engine {name!r}; take one of {', '.join(CARDS)}, with /fp16 or /awq."
        )
        raise InvalidRequest(message, code="invalid_value", param="--engine")
    kv_bytes = card.memory * MEMORY_SHARE - weights.bytes - OVERHEAD_BYTES
    if kv_bytes <= 0:
        message = f"{name!r}: weights of {weights.bytes / 1e9:.1f} GB leave no room for a cache."
        raise InvalidRequest(message, code="invalid_value", param="--engine")
    engine = Engine(
        pace=_pace(card, weights),
        kv_tokens=int(kv_bytes / KV_BYTES),
        max_sequences=max_sequences,
    )
    return Profile(
        name=f"{card_name}/{kept or 'fp16'}",
        card=card,
        engine=engine,
        source=f"{card.source}; {weights.source}",
    )


def profiles() -> list[Profile]:
    """All that fit."""
    fitting: list[Profile] = []
    for card in CARDS:
        for kept in WEIGHTS:
            try:
                fitting.append(profile(f"{card}/{kept}"))
            except InvalidRequest:
                continue
    return fitting


def _pace(card: Card, weights: Weights) -> Pace:
    read = card.bandwidth * card.reads
    return Pace(
        base_s=BASE_S,
        weights_s=weights.bytes / read,
        per_token_s=2 * PARAMETERS * weights.slower / (card.compute * card.computes),
        per_sequence_s=PER_SEQUENCE_S,
        per_kv_token_s=KV_BYTES / read,
        per_attended_s=PER_ATTENDED_S * CARDS["RTX4090"].compute / card.compute,
    )
