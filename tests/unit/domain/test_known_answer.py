"""Only a whole answer is known to others."""

import msgspec
import pytest

from headpond.domain.job import JobState, Usage
from headpond.domain.known_answer import KnownAnswer
from headpond.domain.outcome import Answered, Broke, Outcome
from headpond.testing.records import a_job


def answered(*reasons: object) -> Answered:
    choices = [{"message": {"content": "hi"}, "finish_reason": reason} for reason in reasons]
    response = msgspec.json.encode({"choices": choices})
    return Answered(response=response, usage=Usage(5, 2), confidence=0.9)


ANSWER = answered("stop")


def test_it_settles_another_job_as_the_engine_did_and_says_so() -> None:
    known = KnownAnswer.of(ANSWER, engine="e")
    assert known is not None
    settlement = known.settlement(a_job().claimed("w", 1.0), 2.0, model_version="v1")
    job = settlement.job
    assert (job.state, job.finished_at) == (JobState.SUCCEEDED, 2.0)
    assert (job.engine, job.model_version) == ("e", "v1")
    assert (job.usage, job.confidence, job.cached) == (Usage(5, 2), 0.9, True)
    assert settlement.response == ANSWER.response


@pytest.mark.parametrize(
    "outcome",
    [
        None,
        Broke("no"),
        answered("length"),
        answered("content_filter"),
        answered("abort"),
        answered(None),
        answered(7),
        answered("stop", "length"),
        Answered(response=b"garbage", usage=Usage()),
        Answered(response=b'{"choices":[{"finish_reason":"\xff"}]}', usage=Usage()),
    ],
)
def test_what_is_no_whole_answer_is_not_known(outcome: Outcome | None) -> None:
    assert KnownAnswer.of(outcome, engine="e") is None


@pytest.mark.parametrize("reason", ["tool_calls", "function_call"])
def test_a_call_is_an_answer_too(reason: str) -> None:
    assert KnownAnswer.of(answered(reason), engine="e") is not None
