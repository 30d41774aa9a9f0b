"""Fair shares of a lane: whose turn it is, counted in tokens of work.

Start-time fair queueing (P. Goyal, H. M. Vin, H. Cheng, SIGCOMM 1996), with a tag for each team
instead of each message. A team's tag is the virtual time of its next turn. The team with the least
tag is next, and its message moves the tag on by the message's tokens over its weight. The virtual
time of the lane is the tag at which the last message was handed out; it never falls.

- A team that had nothing ready begins again at the lane's virtual time, if its tag is behind: what
  it did not use while it was idle is not saved up.
- So a newcomer waits for at most one message of each other team, however much they have queued.
- Of two teams that both have work all the time, the tokens that each got over its weight differ by
  at most one largest message of each over its weight.
- Work that was handed out and not done is refunded, so a team does not pay for cancelled jobs.
  That leads it back to where it was: `Sweep` in `domain/claim.py` sees to it that a team that
  cancelled much does not stay there.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Generic, NamedTuple, TypeVar

W = TypeVar("W")


def charge(work_tokens: int, weight: float) -> float:
    """How far a message moves its team's tag. None is free, or its team would hog the lane."""
    return max(1, work_tokens) / weight


class Turns(NamedTuple, Generic[W]):
    """What was chosen, in order, and how that leaves the lane.

    `tags` has the next tag of each team that had a turn, the same as before if it had no message
    ready. `virtual_time` is that of the last message, 0 without one.
    """

    taken: list[W]
    tags: dict[str, float]
    virtual_time: float


def take_turns(
    teams: Iterable[tuple[str, float]],
    waiting: Callable[[str], Iterator[W]],
    charged: Callable[[W], float],
    limit: int,
) -> Turns[W]:
    """Choose up to `limit` messages.

    `teams` are names and tags, least tag first; no more of them are read than can have a turn.
    `waiting` gives a team's ready messages in order; no more of them are read than are taken. Of
    teams with one tag, those that had a turn go last, the others in the order of `teams`.
    """
    taken: list[W] = []
    tags: dict[str, float] = {}
    virtual_time = 0.0
    queued: list[tuple[float, int, str, Iterator[W]]] = []
    order = count()
    others = iter(teams)
    other = next(others, None)
    while len(taken) < limit and (queued or other):
        if other and (not queued or other[1] <= queued[0][0]):
            heapq.heappush(queued, (other[1], next(order), other[0], waiting(other[0])))
            other = next(others, None)
            continue
        tag, _, team, messages = heapq.heappop(queued)
        tags[team] = tag
        message = next(messages, None)
        if message is not None:
            taken.append(message)
            virtual_time = tag
            tags[team] = tag + charged(message)
            heapq.heappush(queued, (tags[team], next(order), team, messages))
    return Turns(taken, tags, virtual_time)
