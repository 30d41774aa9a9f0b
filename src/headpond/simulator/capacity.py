"""What a request costs a worker, for the fluid model: seconds of a worker at full batch."""

import msgspec

from headpond.simulator.engine.core import Engine
from headpond.simulator.engine.loops import full_rate
from headpond.simulator.traces.arrivals import Bin


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """A worker works off one second of work a second, `concurrency` requests at a time."""

    per_request_s: float = 0.0
    per_prompt_token_s: float = 0.0
    per_answer_token_s: float = 0.0
    concurrency: int = 16

    def work_s(self, arrived: Bin) -> float:
        """Seconds of one worker for all that is in the bin."""
        return (
            arrived.requests * self.per_request_s
            + arrived.prompt_tokens * self.per_prompt_token_s
            + arrived.answer_tokens * self.per_answer_token_s
        )


def flat(requests_per_s: float, *, concurrency: int = 16) -> Capacity:
    """A worker that does so many requests a second, whatever their length."""
    return Capacity(per_request_s=1 / requests_per_s, concurrency=concurrency)


def of_engine(
    engine: Engine, *, prompt_tokens: float, answer_tokens: float, at_once: int
) -> Capacity:
    """What a worker with this engine does when `at_once` requests are always at it.

    The engine's own model says how many of the mean length it does a second; the time is shared
    out to prompt and answer tokens as an iteration spends it.
    """
    prompt, answer = max(1, round(prompt_tokens)), max(1, round(answer_tokens))
    holds = max(1, engine.kv_tokens // (prompt + answer))
    batch = min(at_once, holds, engine.max_sequences)
    per_s = full_rate(engine, clients=at_once, prompt_tokens=prompt, answer_tokens=answer)
    pace = engine.pace
    reading_s = prompt * max(pace.per_token_s, pace.weights_s / engine.max_batched_tokens)
    saying_s = answer * pace.decode_s(batch) / batch
    scale = 1 / per_s / (reading_s + saying_s)
    return Capacity(
        per_prompt_token_s=scale * reading_s / prompt,
        per_answer_token_s=scale * saying_s / answer,
        concurrency=at_once,
    )
