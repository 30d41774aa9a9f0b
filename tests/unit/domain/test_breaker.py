"""An engine that fails with everybody is known by its failures in a row, and regains trust."""

from headpond.domain.breaker import FAILURES_OF_AN_ENGINE, HEALTHY, Breaker


def failed(times: int) -> Breaker:
    breaker = HEALTHY
    for _ in range(times):
        breaker = breaker.failed()
    return breaker


def test_an_engine_is_broken_once_it_failed_seven_times_in_a_row() -> None:
    assert not failed(FAILURES_OF_AN_ENGINE - 1).broken
    assert failed(FAILURES_OF_AN_ENGINE).broken


def test_whoever_is_answered_ends_the_row() -> None:
    assert failed(FAILURES_OF_AN_ENGINE - 1).answered(64) == HEALTHY


def test_a_broken_engine_gets_one_request_and_one_more_with_each_answer() -> None:
    breaker = failed(FAILURES_OF_AN_ENGINE + 5)
    limits = [breaker.limit]
    while breaker.limit is not None:
        breaker = breaker.answered(4)
        limits.append(breaker.limit)
    assert limits == [1, 2, 3, None]
    assert breaker == HEALTHY


def test_an_engine_that_fails_on_its_way_back_keeps_what_it_gained() -> None:
    breaker = failed(FAILURES_OF_AN_ENGINE).answered(64).answered(64).failed()
    assert (breaker.limit, breaker.broken) == (3, False)
