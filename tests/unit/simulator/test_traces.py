"""Traces: formats, formulas, and that a seed stands for the same requests."""

import random
from pathlib import Path

import msgspec
import pytest

from headpond.domain.job import Usage
from headpond.errors import InvalidRequest
from headpond.simulator.traces import Trace, read_trace
from headpond.simulator.traces.rates import bursty, poisson
from headpond.testing.records import a_job

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.4799600,3180,8
2023-11-16 18:17:15.9799600,110,27
"""
MOONCAKE = """{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0]}
{"timestamp": 3000, "input_length": 7322, "output_length": 490, "hash_ids": [0, 14]}
"""
RATES = """t_s,req_per_s,mean_input_tokens,mean_output_tokens
0,4,100,20
600,0,,
1200,8,100,20
"""


def total(trace: Trace, seed: int = 1) -> float:
    """Requests of the whole trace."""
    return sum(come.requests for come in trace.bins(seed, 5.0))


def written(folder: Path, text: str) -> str:
    """The name of a file with that text."""
    file = folder / "trace"
    file.write_text(text)
    return str(file)


def test_an_azure_trace_begins_with_its_first_request(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, AZURE))
    assert [arrival.at_s for arrival in trace.arrivals(1)] == pytest.approx([0.0, 0.5, 12.0])
    bins = list(trace.bins(1, 5.0))
    assert [come.requests for come in bins] == [2, 0, 1]
    assert (bins[0].prompt_tokens, bins[0].answer_tokens) == (7988, 18)
    assert (trace.name, trace.span_s) == ("trace", pytest.approx(13.0))


def test_a_mooncake_trace_counts_milliseconds(tmp_path: Path) -> None:
    arrivals = list(read_trace(written(tmp_path, MOONCAKE)).arrivals(1))
    assert [(one.at_s, one.prompt_tokens, one.answer_tokens) for one in arrivals] == [
        (0.0, 6758, 500),
        (3.0, 7322, 490),
    ]


def test_the_own_audit_log_is_a_trace(tmp_path: Path) -> None:
    counted = a_job(usage=Usage(30, 4), accepted_at=100.0)
    uncounted = a_job(work_tokens=50, accepted_at=90.0)
    lines = [msgspec.json.encode({"job": job}).decode() for job in (counted, uncounted)]
    arrivals = list(read_trace(written(tmp_path, "\n".join(lines))).arrivals(1))
    assert [(one.at_s, one.prompt_tokens, one.answer_tokens) for one in arrivals] == [
        (0.0, 50, 1),
        (10.0, 30, 4),
    ]


def test_measured_rates_hold_until_the_next_row(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, RATES))
    bins = list(trace.bins(1, 5.0))
    assert trace.span_s == 1800
    assert sum(come.requests for come in bins[:120]) == pytest.approx(2400, rel=0.1)
    assert not any(come.requests for come in bins[120:240])
    assert sum(come.requests for come in bins[240:]) == pytest.approx(4800, rel=0.1)
    half = read_trace(written(tmp_path, RATES), scale=0.5, days=600 / 86_400)
    assert total(half) == pytest.approx(1200, rel=0.15)


def test_a_seed_stands_for_the_same_requests() -> None:
    trace = read_trace("diurnal:0.5", days=0.1)
    first, again, other = (list(trace.arrivals(seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert total(trace) == len(first)
    assert sum(come.requests for come in trace.bins(1, 60.0)) == len(first)
    assert [one.at_s for one in first] == sorted(one.at_s for one in first)


def test_a_formula_says_when_there_is_work() -> None:
    week = list(read_trace("office:2").bins(1, 5.0))
    worked = {int(step * 5 // 3600) for step, come in enumerate(week) if come.requests}
    assert worked == {day * 24 + hour for day in range(5) for hour in range(8, 18)}
    assert total(read_trace("poisson:2", days=0.5)) == pytest.approx(86_400, rel=0.02)
    day = list(read_trace("diurnal:2", days=1).bins(1, 3600.0))
    night, noon = day[3].requests, day[15].requests
    assert noon > 5 * night
    burst = read_trace("burst:500")
    assert total(burst) == 500
    assert max(arrival.at_s for arrival in burst.arrivals(1)) < 60


def test_a_denser_trace_has_copies_near_their_originals(tmp_path: Path) -> None:
    name = written(tmp_path, AZURE)
    assert total(read_trace(name, scale=3)) == 9
    thinned = [total(read_trace(name, scale=0.5), seed) for seed in range(60)]
    assert sum(thinned) / 60 == pytest.approx(1.5, abs=0.4)


def test_numbers_vary_as_much_as_they_are_asked_to() -> None:
    dice = random.Random(1)
    for mean in (5.0, 200.0):
        drawn = [bursty(mean, 3.0, dice) for _ in range(4000)]
        average = sum(drawn) / 4000
        assert average == pytest.approx(mean, rel=0.05)
        assert sum((one - average) ** 2 for one in drawn) / 4000 == pytest.approx(3 * mean, rel=0.1)
    assert bursty(0.0, 3.0, dice) == 0
    assert bursty(4.0, 1.0, dice) == pytest.approx(4, abs=8)
    assert poisson(1e6, dice) == pytest.approx(1e6, rel=0.01)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("poisson:x", "positive number"),
        ("office:-1", "positive number"),
        ("nowhere.csv", "cannot be read"),
    ],
)
def test_a_trace_that_is_none_is_refused(name: str, complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint):
        read_trace(name)


@pytest.mark.parametrize("text", ["", "hello\n", "{}\n", "TIMESTAMP,x\n1,2\n", "t_s,x\n0,1\n"])
def test_a_file_that_is_no_trace_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidRequest, match="not a trace"):
        read_trace(written(tmp_path, text))
