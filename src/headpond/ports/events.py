"""Facts go out to listeners; the product does not know who they are."""

from typing import Protocol

from headpond.domain.facts import Fact


class Listener(Protocol):
    """Hears every fact, in the order in which they happened in this process."""

    def hear(self, fact: Fact) -> None:
        """Take note. Must be quick; must not block."""
        ...
