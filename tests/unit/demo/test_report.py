"""What the demo says about its results."""

import pytest

from headpond.demo.files import held_out_file, model_file
from headpond.demo.report import Result, report
from headpond.demo.titles import Title, job_for, read_titles
from headpond.domain.job import JobState


def result(text: str | None, *, confidence: float | None = 0.99, waited_s: float = 1.0) -> Result:
    return Result(
        status=JobState.DEAD if text is None else JobState.SUCCEEDED,
        text=text,
        confidence=confidence,
        waited_s=waited_s,
        served_s=0.5,
        prompt_tokens=30,
        completion_tokens=2,
    )


FRIDGE = Title("bosch fridge", "Fridges")


def test_answers_are_right_or_wrong_and_sure_or_not() -> None:
    results = [result("Fridges"), result("TVs"), result("Fridges", confidence=0.5)]
    measured = report([FRIDGE] * 3, results, seconds=2.0)
    assert (measured.accuracy.right, measured.accuracy.total) == (2, 3)
    assert (measured.confident.right, measured.confident.total) == (1, 2)
    assert (measured.jobs_per_s, measured.tokens_per_s) == (1.5, 48.0)
    assert (measured.wait.p50_s, measured.service.p99_s) == (1.0, 0.5)
    assert measured.api_costs[0].usd == (90 * 0.15 + 6 * 0.60) / 1e6


@pytest.mark.parametrize(
    ("results", "good"),
    [
        ([result("Fridges")] * 20, True),
        ([result("Fridges")] * 19 + [result("TVs")], True),
        ([result("Fridges")] * 18 + [result("TVs")] * 2, False),
        ([result("Fridges")] * 19 + [result(None)], False),
    ],
)
def test_a_run_is_good_when_all_succeed_and_19_of_20_are_right(
    results: list[Result], *, good: bool
) -> None:
    assert report([FRIDGE] * 20, results, seconds=1.0).good is good


def test_the_shipped_files_are_found() -> None:
    titles = read_titles(held_out_file(), limit=3)
    assert [title.category for title in titles] != []
    assert model_file().read_bytes()[:4] == b"GGUF"
    assert job_for(titles[0])["temperature"] == 0
