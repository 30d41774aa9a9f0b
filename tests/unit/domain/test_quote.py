"""What comes before a job, and how long that takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpond.domain.calibration import Spread
from headpond.domain.lane import Priority
from headpond.domain.pace import Pace, Regime
from headpond.domain.quote import ANYBODY, Backlog, Forecast, ahead, eta, forecast

BATCH, INTERACTIVE = Priority.BATCH, Priority.INTERACTIVE
PACE = Pace(rate=100.0, token_s=0.1, free=0)


def before(
    interactive: dict[str, Backlog] | None = None,
    batch: dict[str, Backlog] | None = None,
    *,
    priority: Priority = BATCH,
    weights: dict[str, float] | None = None,
) -> Backlog:
    return ahead(
        {INTERACTIVE: interactive or {}, BATCH: batch or {}},
        team="mine",
        priority=priority,
        work_tokens=100,
        weights=weights or {},
    )


def test_in_an_empty_pool_nothing_comes_first() -> None:
    assert before() == Backlog()


def test_the_teams_own_work_comes_first() -> None:
    assert before(batch={"mine": Backlog(3, 300)}) == Backlog(3, 300)


def test_all_interactive_work_comes_before_batch_work_and_not_the_other_way() -> None:
    waiting = {"other": Backlog(5, 500)}
    assert before(interactive=waiting) == Backlog(5, 500)
    assert before(batch=waiting, priority=INTERACTIVE) == Backlog()


def test_another_teams_long_backlog_delays_by_its_share_alone() -> None:
    # SPEC Q8: the newcomer's one job of 100 tokens waits for about as much of the other team.
    assert before(batch={"other": Backlog(100_000, 10_000_000)}) == Backlog(1, 100)


def test_what_might_be_anybodys_comes_first() -> None:
    waiting = {ANYBODY: Backlog(1_000, 100_000), "other": Backlog(5, 10_000)}
    assert before(batch=waiting) == Backlog(1_000, 100_100)
    assert before(batch={ANYBODY: Backlog(7, 70)}, priority=INTERACTIVE) == Backlog()


def test_a_heavier_team_gets_more_in_the_same_time() -> None:
    waiting = {"other": Backlog(100, 10_000)}
    assert before(batch=waiting, weights={"other": 3.0}) == Backlog(3, 300)
    assert before(batch=waiting, weights={"mine": 2.0}).work_tokens == 50


def test_a_job_that_finds_room_only_runs() -> None:
    pace = Pace(rate=100.0, token_s=0.1, free=3)
    assert forecast(pace, Backlog(2, 200), work_tokens=10) == Forecast(Regime.RUN, 1.0)


def test_a_job_without_room_waits_for_the_work_before_it() -> None:
    assert forecast(PACE, Backlog(2, 200), work_tokens=10) == Forecast(Regime.WAIT, 3.0)


@pytest.mark.parametrize("ready_in_s", [0.0, 30.0])
def test_without_a_worker_there_is_a_cold_start_before_it_all(ready_in_s: float) -> None:
    pace = Pace(rate=100.0, token_s=0.1, free=1, ready_in_s=ready_in_s)
    made = forecast(pace, Backlog(2, 200), work_tokens=10)
    assert made == Forecast(Regime.COLD_START, ready_in_s + 3.0)


def test_the_interval_is_stretched_by_what_came_of_such_forecasts() -> None:
    pace = Pace(rate=1, token_s=1, free=0, spreads={Regime.WAIT: Spread(1.5, 3.0)})
    told = eta(Forecast(Regime.WAIT, 10.0), pace, 1000.0)
    assert (told.p50, told.p90) == (1015.0, 1030.0)
    told = eta(Forecast(Regime.RUN, 10.0), pace, 1000.0)
    assert (told.p50, told.p90) == (1010.0, 1020.0)


@given(
    st.dictionaries(
        st.sampled_from(["mine", "a", "b"]),
        st.builds(Backlog, st.integers(1, 1000), st.integers(1, 10**6)),
    ),
    st.dictionaries(st.sampled_from(["mine", "a", "b"]), st.floats(0.1, 10)),
)
def test_never_more_than_waits_and_never_less_than_the_own(
    batch: dict[str, Backlog], weights: dict[str, float]
) -> None:
    found = before(batch=batch, weights=weights)
    assert found.work_tokens <= sum(backlog.work_tokens for backlog in batch.values()) + 1e-6
    assert found.work_tokens >= batch.get("mine", Backlog()).work_tokens
