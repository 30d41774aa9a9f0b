"""The KV cache in blocks, as vLLM's free list keeps it.

What is freed goes to the end of the list and what is needed is taken from its beginning, so the
blocks of a sequence that had to make room are overwritten bit by bit, its last ones first. What is
left of them when it comes back need not be computed again.
"""

from collections import deque
from dataclasses import dataclass


@dataclass(slots=True)
class Freed:
    """Blocks that lie together in the list; `left` of them hold what they held."""

    left: int


class Blocks:
    """So many blocks, all free."""

    def __init__(self, total: int) -> None:
        self.total = self.free = total
        self._list: deque[Freed] = deque([Freed(total)])

    def take(self, count: int) -> None:
        """Take from the beginning of the list; there must be so many."""
        self.free -= count
        freed = self._list
        while count:
            first = freed[0]
            if first.left > count:
                first.left -= count
                return
            count -= first.left
            first.left = 0
            freed.popleft()

    def give(self, count: int) -> Freed:
        """Free blocks; what comes back says how many of them are still what they were."""
        self.free += count
        last = Freed(count)
        if count:
            self._list.append(last)
        return last

    def take_back(self, freed: Freed) -> int:
        """Take what is left of the blocks that were freed together; returns how many."""
        back = freed.left
        self.free -= back
        freed.left = 0
        return back
