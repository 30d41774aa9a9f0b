import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpond.domain.batch import (
    MAX_LINES,
    Batch,
    BatchStatus,
    Counts,
    Cursor,
    LineError,
    Results,
    RunnerName,
    counted,
    line_name,
    result_file,
    window_s,
)
from headpond.domain.job import JobState
from headpond.testing.batches_suite import NOW, a_batch

RUNNER = RunnerName("r")


def in_progress() -> Batch:
    return a_batch().took(RUNNER, NOW + 30).begun(NOW, 3, "model")


def test_a_batch_runs_to_its_end() -> None:
    batch = in_progress().progressed(Cursor(3, 99), Counts(3, 2, 1)).lines_ended(NOW + 1)
    assert batch.status is BatchStatus.FINALIZING
    ended = batch.written(NOW + 2, Results(counts=Counts(3, 2, 1)))

    assert (ended.status, ended.ended_at) == (BatchStatus.COMPLETED, NOW + 2)
    assert (ended.runner, ended.leased_until) == (None, 0.0)
    assert ended.version == 6


def test_a_batch_whose_window_closed_has_expired() -> None:
    batch = in_progress().lines_ended(NOW).written(NOW, Results(expired=True))
    assert batch.status is BatchStatus.EXPIRED


def test_a_batch_that_is_cancelled_stays_so_whatever_expired() -> None:
    batch = in_progress().cancelling(NOW)
    assert (batch.status, batch.cancelling_at) == (BatchStatus.CANCELLING, NOW)
    assert batch.written(NOW, Results(expired=True)).status is BatchStatus.CANCELLED


def test_a_batch_that_is_refused_says_why() -> None:
    batch = a_batch().refused(NOW, [LineError("code", "why", line=3)])
    assert batch.status is BatchStatus.FAILED
    assert batch.errors == (LineError("code", "why", line=3),)


def test_verbs_are_for_their_status_alone() -> None:
    over = a_batch().refused(NOW, [])
    misuses = [
        lambda: over.took(RUNNER, NOW),
        lambda: over.refused(NOW, []),
        lambda: over.begun(NOW, 1, None),
        lambda: over.progressed(Cursor(), Counts()),
        lambda: over.lines_ended(NOW),
        lambda: over.cancelling(NOW),
        lambda: in_progress().written(NOW, Results()),
        lambda: in_progress().lines_ended(NOW).cancelling(NOW),
    ]
    for misuse in misuses:
        with pytest.raises(ValueError, match="cannot do this"):
            misuse()


def test_a_batch_is_free_when_nobody_runs_it() -> None:
    batch = a_batch()
    assert batch.free(NOW)
    assert not batch.took(RUNNER, NOW + 30).free(NOW + 29)
    assert batch.took(RUNNER, NOW + 30).free(NOW + 30)
    assert batch.took(RUNNER, NOW + 30).released().free(NOW)
    assert not batch.refused(NOW, []).free(NOW)


def test_jobs_are_counted_by_what_became_of_them() -> None:
    tally = {state: 2**number for number, state in enumerate(JobState)}
    counts = counted(255, tally)
    assert counts == Counts(
        total=255,
        completed=tally[JobState.SUCCEEDED],
        failed=tally[JobState.FAILED] + tally[JobState.DEAD],
        stopped=tally[JobState.CANCELLED] + tally[JobState.EXPIRED],
    )
    assert not counts.ended
    assert Counts(3, 1, 1, 1).ended


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("24h", 86_400),
        ("1h", 3_600),
        ("90m", 5_400),
        ("5s", 5),
        ("30d", 2_592_000),
        ("31d", None),
        ("0h", None),
        ("24", None),
        ("1w", None),
        ("-1h", None),
        ("", None),
    ],
)
def test_completion_windows(text: str, seconds: int | None) -> None:
    assert window_s(text) == seconds


@given(st.integers(1, MAX_LINES), st.integers(1, MAX_LINES), st.text(), st.text())
def test_names_of_lines_sort_by_number_and_tell_lines_apart(
    one: int, other: int, custom_id: str, other_id: str
) -> None:
    batch = a_batch()
    name, other_name = line_name(batch, one, custom_id), line_name(batch, other, other_id)
    assert len(name) == 32
    if one != other:
        assert (name < other_name) == (one < other)
    assert (name == other_name) == ((one, custom_id) == (other, other_id))


def test_names_are_those_of_one_batch() -> None:
    one, other = a_batch(), a_batch()
    assert line_name(one, 1, "a") != line_name(other, 1, "a")
    assert len({result_file(batch, kind) for batch in (one, other) for kind in ("a", "b")}) == 4
    assert result_file(one, "a") == result_file(one, "a")
