"""An answer that is known already: to whoever asks the same while it is remembered."""

from typing import Self

import msgspec

from headpond.domain.job import Job, Usage
from headpond.domain.outcome import Answered, Outcome, Settlement


class KnownAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The response body with what was counted when `engine` gave it."""

    response: bytes
    usage: Usage
    confidence: float | None
    engine: str

    @classmethod
    def of(cls, outcome: Outcome | None, *, engine: str) -> Self | None:
        """None where there is no answer, or one that was cut short."""
        if not isinstance(outcome, Answered) or outcome.cut_short:
            return None
        return cls(
            response=outcome.response,
            usage=outcome.usage,
            confidence=outcome.confidence,
            engine=engine,
        )

    def settlement(self, job: Job, now: float) -> Settlement:
        """What becomes of a running job that asks the same."""
        after = job.succeeded(
            now, engine=self.engine, usage=self.usage, confidence=self.confidence, cached=True
        )
        return Settlement(job=after, response=self.response)
