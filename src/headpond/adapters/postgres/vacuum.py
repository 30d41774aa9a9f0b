"""Vacuuming `messages` while it is drained.

A message that is taken leaves an entry in the index of those that are ready, where the next receipt
begins to look. The server's own vacuum comes by once a minute (`autovacuum_naptime`), and by then a
receipt walks past all that were taken in that minute: it takes nearly twice as long after fifty
thousand. So whoever receives has them vacuumed, too.
"""

from collections.abc import Callable

EVERY = 30_000
"""Messages between two vacuums. One reads the index of all that wait, so it is not to come often
when millions do."""


class Vacuum:
    """`begin` starts one, beside whatever else is done."""

    def __init__(self, begin: Callable[[], object]) -> None:
        self._begin = begin
        self._taken = 0

    def count(self, taken: int) -> None:
        """Messages were received."""
        self._taken += taken
        if self._taken >= EVERY:
            self._taken = 0
            self._begin()
