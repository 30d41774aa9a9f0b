"""What the demo prints for people."""

import pytest

from headpond.cli.demo import show_report
from headpond.demo.report import Result, report
from headpond.demo.titles import Title
from headpond.domain.job import JobState


def test_the_report_says_how_right_how_fast_and_how_dear(
    capsys: pytest.CaptureFixture[str],
) -> None:
    right = Result(
        status=JobState.SUCCEEDED,
        text="Fridges",
        confidence=0.99,
        waited_s=1.25,
        served_s=0.5,
        prompt_tokens=3000,
        completion_tokens=2,
    )
    show_report(report([Title("bosch fridge", "Fridges")] * 10, [right] * 10, seconds=2.0))
    told = capsys.readouterr().out
    assert "10 of 10 succeeded" in told
    assert "100.00% [72.25%, 100.00%] (10 of 10 right)" in told
    assert "5 jobs/s, 15,010 tokens/s (2.0 s)" in told
    assert "p50 1.250 s, p99 1.250 s" in told
    assert "30,000 in, 20 out" in told
    assert "at gpt-4o-mini  $0.0045, as a batch $0.0023 (price seen " in told
