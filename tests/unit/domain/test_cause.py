"""What jobs died of, without what differs from job to job."""

import pytest

from headpond.domain.cause import MAX_PATTERN_CHARS, cause_of, with_one_more
from headpond.domain.job import JobError
from headpond.testing.dead_letters_suite import a_dead_job


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It took 600.0 s (attempt 3)", "It took 12 s (attempt 1)"),
        ("the model 'a' is gone", "the model 'b c' is gone"),
        ('expected "x"', 'expected "y z"'),
        ("`$.a` is wrong", "`$.b[7]` is wrong"),
        ("request req_0123456789abcdef failed", "request req_fedcba9876543210 failed"),
        (
            "job_019abc6cf32c7d53a5f00d7b6ed0e4aa: no",
            "job_019abc6cf32c7d53a5f00d7b6ed0ffff: no",
        ),
        (
            "id 6f1c2a34-0000-4000-8000-0123456789ab",
            "id 6F1C2A34-1111-4111-8111-BA9876543210",
        ),
        ("at 0xdeadbeef", "at 0x1"),
        ("10.0.0.1:8000 closed", "10.0.0.27:9 closed"),
        ("two\n  lines", "two lines"),
    ],
)
def test_what_differs_from_job_to_job_is_blanked(one: str, other: str) -> None:
    assert cause_of(JobError("c", one)) == cause_of(JobError("c", other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (JobError("c", "out of memory"), JobError("c", "out of time")),
        (JobError("c", "why"), JobError("d", "why")),
        (JobError("c", "it isn't there"), JobError("c", "it isn't here")),
        (None, JobError("c", "")),
    ],
)
def test_other_causes_stay_apart(one: JobError | None, other: JobError) -> None:
    assert cause_of(one).id != cause_of(other).id


def test_a_cause_shows_its_pattern() -> None:
    cause = cause_of(JobError("engine_timeout", "No answer to 'hello' within 600.0 s (attempt 3)"))
    assert cause.code == "engine_timeout"
    assert cause.pattern == "No answer to … within # s (attempt #)"
    assert len(cause.id) == 12


def test_a_pattern_has_an_end() -> None:
    assert len(cause_of(JobError("c", "word " * 10_000)).pattern) <= MAX_PATTERN_CHARS


def test_a_group_knows_its_first_and_last_and_whose_they_are() -> None:
    group = None
    for died_at, team in ((10.0, "a"), (20.0, "b"), (30.0, "a")):
        job = a_dead_job(died_at, team=team)
        group = with_one_more(group, cause_of(job.error), job)
    assert group
    assert (group.count, group.first_at, group.last_at) == (3, 10.0, 30.0)
    assert (group.teams, group.models) == (("a", "b"), ("model",))
