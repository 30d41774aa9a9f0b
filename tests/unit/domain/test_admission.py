"""How much a worker pulls."""

import pytest

from headpond.domain.admission import room, worth_pulling


@pytest.mark.parametrize(
    ("in_flight", "settling", "waiting", "kv_usage", "expected"),
    [
        (0, 0, None, None, 16),
        (10, 0, None, None, 6),
        (20, 0, None, None, 0),
        (0, 0, 0, 0.5, 16),
        (4, 0, 4, 0.5, 8),
        (0, 0, 100, 0.5, 0),
        (0, 0, 0, 0.85, 16),
        (0, 0, 0, 0.86, 0),
        (0, 16, None, None, 16),
        (4, 16, None, None, 12),
        (0, 20, None, None, 12),
        (0, 40, None, None, 0),
    ],
)
def test_room_is_what_the_engine_can_take(
    in_flight: int, settling: int, waiting: int | None, kv_usage: float | None, expected: int
) -> None:
    # SPEC W2
    assert expected == room(
        limit=16,
        in_flight=in_flight,
        settling=settling,
        waiting=waiting,
        kv_usage=kv_usage,
        kv_usage_limit=0.85,
    )


@pytest.mark.parametrize(
    ("limit", "in_flight", "room", "expected"),
    [
        (16, 16, 0, False),
        (16, 13, 3, False),
        (16, 12, 4, True),
        (16, 0, 1, True),
        (1, 0, 1, True),
        (1, 1, 0, False),
    ],
)
def test_a_pull_takes_a_quarter_or_all_there_is(
    limit: int,
    in_flight: int,
    room: int,
    expected: bool,
) -> None:
    assert worth_pulling(limit=limit, in_flight=in_flight, room=room) is expected
