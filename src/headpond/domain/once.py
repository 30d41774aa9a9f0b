"""What is worth saying once."""

from collections.abc import Hashable


class Once:
    """Remembers the last `most` things that were said, by their hashes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._said: dict[int, None] = {}

    def is_new(self, thing: Hashable) -> bool:
        """True the first time, and once more for what was forgotten since."""
        key = hash(thing)
        if key in self._said:
            return False
        if len(self._said) == self._most:
            del self._said[next(iter(self._said))]
        self._said[key] = None
        return True
