"""Only a whole answer is known to others."""

import pytest

from headpond.domain.job import JobState, Usage
from headpond.domain.known_answer import KnownAnswer
from headpond.domain.outcome import Answered, Broke, Outcome
from headpond.testing.records import RESPONSE, a_job

ANSWER = Answered(response=RESPONSE, usage=Usage(5, 2), confidence=0.9)


def test_it_settles_another_job_as_the_engine_did_and_says_so() -> None:
    known = KnownAnswer.of(ANSWER, engine="e")
    assert known is not None
    settlement = known.settlement(a_job().claimed("w", 1.0), 2.0)
    job = settlement.job
    assert (job.state, job.finished_at, job.engine) == (JobState.SUCCEEDED, 2.0, "e")
    assert (job.usage, job.confidence, job.cached) == (Usage(5, 2), 0.9, True)
    assert settlement.response == RESPONSE


@pytest.mark.parametrize(
    "outcome",
    [None, Broke("no"), Answered(response=RESPONSE, usage=Usage(), cut_short=True)],
)
def test_what_is_no_whole_answer_is_not_known(outcome: Outcome | None) -> None:
    assert KnownAnswer.of(outcome, engine="e") is None
