"""Shares of a lane, whatever the teams send. SPEC Q8."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from headpond.adapters.memory.shares import Shares, charge_of
from headpond.domain.fairness import Turns, charge, take_turns
from headpond.ports.queue import Message
from headpond.testing.queue_suite import message

TOKENS = st.integers(1, 1000)
WEIGHT = st.sampled_from([0.5, 1.0, 2.0, 3.0])
TEAMS = st.dictionaries(st.sampled_from("abcdef"), st.tuples(TOKENS, WEIGHT), min_size=2)
LIMITS = st.lists(st.integers(1, 16), min_size=1, max_size=30)


def lane_of(teams: dict[str, tuple[int, float]], jobs: int) -> tuple[Shares, dict[int, Message]]:
    """A lane with so many jobs of each team, of the team's size and weight."""
    shares, messages = Shares(), dict[int, Message]()
    for team, (tokens, weight) in teams.items():
        for _ in range(jobs):
            number = len(messages)
            messages[number] = message(str(number), team=team, tokens=tokens, weight=weight)
            shares.put(number, messages[number])
    return shares, messages


def drained(shares: Shares, messages: dict[int, Message], limits: Sequence[int]) -> list[Message]:
    """What is handed out in claims of these limits."""
    return [messages[number] for limit in limits for number in shares.take(limit)]


@given(TEAMS, LIMITS)
def test_backlogged_teams_differ_by_at_most_one_message_each(
    teams: dict[str, tuple[int, float]], limits: Sequence[int]
) -> None:
    shares, messages = lane_of(teams, sum(limits))
    got = Counter[str]()
    for taken in drained(shares, messages, limits):
        got[taken.team] += charge_of(taken)  # pyright: ignore[reportArgumentType]
        for one, other in combinations(teams, 2):
            bound = charge(*teams[one]) + charge(*teams[other])
            assert abs(got[one] - got[other]) <= bound + 1e-6


@given(TEAMS, LIMITS, TOKENS)
def test_a_newcomer_waits_for_one_message_of_each_other_team(
    teams: dict[str, tuple[int, float]], limits: Sequence[int], tokens: int
) -> None:
    jobs = sum(limits) + len(teams) + 1
    shares, messages = lane_of(teams, jobs)
    drained(shares, messages, limits)
    messages[-1] = message("new", team="new", tokens=tokens)
    shares.put(-1, messages[-1])
    before = drained(shares, messages, [1] * (len(teams) + 1))
    assert messages[-1] in before
    ahead = Counter(taken.team for taken in before[: before.index(messages[-1])])
    assert all(count == 1 for count in ahead.values())


@given(TEAMS, LIMITS)
def test_everything_is_handed_out_once(
    teams: dict[str, tuple[int, float]], limits: Sequence[int]
) -> None:
    shares, messages = lane_of(teams, 5)
    taken = drained(shares, messages, [*limits, len(messages)])
    assert Counter(taken) == Counter(messages.values())


@given(st.lists(st.tuples(st.sampled_from("ab"), TOKENS), min_size=1), LIMITS)
def test_a_team_keeps_the_order_of_sending(
    sent: Sequence[tuple[str, int]], limits: Sequence[int]
) -> None:
    shares, messages = Shares(), dict[int, Message]()
    for number, (team, tokens) in enumerate(sent):
        messages[number] = message(str(number), team=team, tokens=tokens)
        shares.put(number, messages[number])
    taken = drained(shares, messages, limits)
    for team in "ab":
        numbers = [int(one.job_id) for one in taken if one.team == team]
        assert numbers == sorted(numbers)


def test_no_message_is_free() -> None:
    assert charge(0, 2.0) == 0.5


def test_a_team_without_messages_has_its_turn_for_nothing() -> None:
    waiting = {"empty": [], "full": ["a", "b"]}
    turns = take_turns(
        iter([("empty", 1.0), ("full", 2.0), ("later", 100.0)]),
        lambda team: iter(waiting[team]),
        lambda _: 5.0,
        limit=2,
    )
    assert turns == Turns(["a", "b"], {"empty": 1.0, "full": 12.0}, 7.0)


def test_nothing_is_chosen_of_nothing() -> None:
    assert take_turns([], lambda _: iter(()), lambda _: 1.0, limit=3) == Turns([], {}, 0.0)
