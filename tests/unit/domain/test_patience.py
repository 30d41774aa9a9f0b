"""Batch work waits for interactive work, and not for ever. SPEC Q4."""

from headpond.domain.lane import Lane, Priority, lanes_of
from headpond.domain.patience import Patience

LANES = lanes_of("pool")
INTERACTIVE, BATCH = (Lane("pool", priority) for priority in Priority)
BOUND_S = 600.0


def served(seconds: int, *, bound_s: float = BOUND_S) -> list[Lane]:
    """Lanes of the jobs that a worker takes, four a second, while both have plenty."""
    patience, taken = Patience(0.0), list[Lane]()
    for second in range(seconds):
        now, room = float(second), 4
        while room:
            look = patience.look(LANES, room)
            claimed = [(look.lanes[0], 0.0)] * look.limit
            patience = patience.after(look, claimed, now=now, bound_s=bound_s)
            taken += [lane for lane, _ in claimed]
            room -= look.limit
    return taken


def test_within_the_bound_all_is_interactive() -> None:
    assert set(served(600)) == {INTERACTIVE}


def test_beyond_the_bound_one_in_four_is_batch() -> None:
    after = served(1000)[600 * 4 :]
    assert abs(after.count(BATCH) - len(after) / 4) <= 2


def test_batch_that_is_served_in_its_turn_ends_that() -> None:
    patience = Patience(0.0, passed=2)
    look = patience.look(LANES, 8)
    claimed = [(INTERACTIVE, 690.0), (BATCH, 650.0)]
    assert patience.after(look, claimed, now=700.0, bound_s=BOUND_S) == Patience(700.0)


def test_old_batch_work_does_not_end_it() -> None:
    patience = Patience(0.0)
    look = patience.look(LANES, 8)
    after = patience.after(look, [(BATCH, 50.0)], now=700.0, bound_s=BOUND_S)
    assert after == Patience(0.0, passed=1)


def test_a_newcomer_in_a_turn_of_batch_does_not_end_it() -> None:
    patience = Patience(0.0, passed=7)
    look = patience.look(LANES, 8)
    assert (look.lanes, look.limit) == ((BATCH, INTERACTIVE), 2)
    after = patience.after(look, [(BATCH, 699.0)], now=700.0, bound_s=BOUND_S)
    assert after == Patience(0.0, passed=1)


def test_a_turn_is_never_larger_than_the_room() -> None:
    assert Patience(0.0, passed=300).look(LANES, 2).limit == 2
