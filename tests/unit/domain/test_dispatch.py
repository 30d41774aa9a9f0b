"""What becomes of an attempt. SPEC G3."""

import pytest

from headpond.domain.dispatch import (
    MAX_RETRY_AFTER_S,
    Dispatch,
    DispatchState,
    Reaction,
    Replied,
    Unreached,
    react,
)
from headpond.domain.retry_after import retry_after_s
from headpond.domain.webhook_endpoint import EndpointId
from headpond.settings import WebhookSettings
from headpond.testing.webhooks_suite import an_event

NOW = 1_000_000.0
SCHEDULE_S = WebhookSettings().schedule_s


def leased(attempts: int = 1) -> Dispatch:
    dispatch = Dispatch(event=an_event(), endpoint=EndpointId("we_1"), due_at=NOW)
    for _ in range(attempts):
        dispatch = dispatch.leased(NOW, 30.0)
    return dispatch


def reacted(reaction: Reaction, attempts: int = 1, chance: float = 0.0) -> Dispatch:
    before = leased(attempts)
    after = react(before, reaction, now=NOW, schedule_s=SCHEDULE_S, chance=chance)
    assert after.version == before.version + 1
    return after


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_the_class_of_success_is_success(status: int) -> None:
    after = reacted(Replied(status))
    assert (after.state, after.status, after.due_at) == (DispatchState.DELIVERED, status, None)


@pytest.mark.parametrize("reaction", [Replied(301), Replied(404), Replied(500), Unreached("No.")])
def test_anything_else_is_tried_again(reaction: Reaction) -> None:
    after = reacted(reaction)
    assert (after.state, after.due_at) == (DispatchState.PENDING, NOW + 5)
    assert after.error is not None


def test_the_schedule_is_that_of_standard_webhooks() -> None:
    delays = [(reacted(Replied(500), attempts).due_at or 0) - NOW for attempts in range(1, 10)]
    hours = [2, 5, 10, 14, 20, 24]
    assert delays == [5, 5 * 60, 30 * 60, *(hour * 3600 for hour in hours)]
    last = reacted(Replied(500), attempts=10)
    assert (last.state, last.ended_at, last.status) == (DispatchState.FAILED, NOW, 500)


def test_jitter_lengthens_a_delay_by_up_to_a_fifth() -> None:
    assert reacted(Replied(500), chance=0.5).due_at == pytest.approx(NOW + 5.5)


@pytest.mark.parametrize(
    ("wished_s", "delay_s"),
    [(0.0, 5.0), (3.0, 5.0), (120.0, 120.0), (1e9, MAX_RETRY_AFTER_S), (None, 5.0)],
)
def test_the_receivers_wish_counts_within_reason(wished_s: float | None, delay_s: float) -> None:
    assert reacted(Replied(429, wished_s)).due_at == NOW + delay_s


def test_gone_is_gone() -> None:
    assert reacted(Replied(410)).state is DispatchState.FAILED


def test_what_is_sent_again_begins_anew() -> None:
    again = reacted(Replied(410)).redelivered(NOW + 60)
    assert (again.state, again.attempts, again.due_at) == (DispatchState.PENDING, 0, NOW + 60)
    assert again.ended_at is None


@pytest.mark.parametrize(
    ("value", "date", "expected_s"),
    [
        ("120", "", 120.0),
        (" 0 ", "", 0.0),
        ("", "", None),
        ("soon", "", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:27:00 GMT", 60.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:29:00 GMT", 0.0),
        ("Wed, 21 Oct 2026 07:28:00 GMT", "", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, date: str, expected_s: float | None) -> None:
    assert retry_after_s(value, date) == expected_s
