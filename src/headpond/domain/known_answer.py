"""An answer that is known already: to whoever asks the same while it is remembered."""

from typing import Self

import msgspec

from headpond.domain.job import Job, Usage
from headpond.domain.outcome import Answered, Outcome, Settlement

OWN_ENDS = ("stop", "tool_calls", "function_call")
"""Reasons for the end of an answer that are the model's own; engines know more of the others."""


class _Choice(msgspec.Struct):
    finish_reason: object = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]


_decode = msgspec.json.Decoder(_Completion).decode


class KnownAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The response body with what was counted when `engine` gave it."""

    response: bytes
    usage: Usage
    confidence: float | None
    engine: str

    @classmethod
    def of(cls, outcome: Outcome | None, *, engine: str) -> Self | None:
        """None where there is no answer, or one that its model did not end."""
        if not isinstance(outcome, Answered) or not _is_whole(outcome.response):
            return None
        return cls(
            response=outcome.response,
            usage=outcome.usage,
            confidence=outcome.confidence,
            engine=engine,
        )

    def settlement(self, job: Job, now: float, *, model_version: str | None) -> Settlement:
        """What becomes of a running job that asks the same, of the same version of the model."""
        after = job.succeeded(
            now,
            engine=self.engine,
            model_version=model_version,
            usage=self.usage,
            confidence=self.confidence,
            cached=True,
        )
        return Settlement(job=after, response=self.response)


def _is_whole(response: bytes) -> bool:
    try:
        choices = _decode(response).choices
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return all(choice.finish_reason in OWN_ENDS for choice in choices)
