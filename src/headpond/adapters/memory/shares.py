"""The teams of a lane in memory: their ready messages, whose turn it is, what each is charged."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from headpond.domain.fairness import charge, take_turns
from headpond.ports.queue import Message


@dataclass
class Share:
    """A team's tag, and its ready messages as a heap by their numbers."""

    tag: float
    ready: list[tuple[int, Message]] = field(default_factory=list[tuple[int, Message]])

    def take_out(self) -> Iterator[tuple[int, Message]]:
        """The ready messages in the order of their numbers; what is read is ready no more."""
        while self.ready:
            yield heapq.heappop(self.ready)


class Shares:
    """The teams with messages ready, or with a tag ahead of the lane's virtual time."""

    def __init__(self) -> None:
        self._teams: dict[str, Share] = {}
        self._virtual_time = 0.0

    def put(self, number: int, message: Message) -> None:
        """The message is ready; a team goes through its own in the order of their numbers."""
        share = self._teams.setdefault(message.team, Share(self._virtual_time))
        if not share.ready:
            share.tag = max(share.tag, self._virtual_time)
        heapq.heappush(share.ready, (number, message))

    def take(self, limit: int) -> list[int]:
        """The numbers of up to `limit` messages, chosen in turn and charged to their teams."""
        in_turn = sorted(
            ((team, share.tag) for team, share in self._teams.items() if share.ready),
            key=lambda entry: entry[1],
        )
        turns = take_turns(
            in_turn,
            lambda team: self._teams[team].take_out(),
            lambda entry: charge_of(entry[1]),
            limit,
        )
        for team, tag in turns.tags.items():
            self._teams[team].tag = tag
        if turns.taken:
            self._advance(turns.virtual_time)
        return [number for number, _ in turns.taken]

    def refund(self, message: Message) -> None:
        """Take back what the message was charged when it was handed out."""
        if message.team in self._teams:
            self._teams[message.team].tag -= charge_of(message)

    def _advance(self, virtual_time: float) -> None:
        self._virtual_time = max(self._virtual_time, virtual_time)
        self._teams = {
            team: share
            for team, share in self._teams.items()
            if share.ready or share.tag > self._virtual_time
        }


def charge_of(message: Message) -> float:
    """How far the message moves its team's tag."""
    return charge(message.work_tokens, message.weight)
