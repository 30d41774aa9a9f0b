"""What a request costs a worker, for the fluid model: seconds of a worker at full batch."""

import msgspec

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
