"""Notices: the cloud says that it will take this machine away."""

from typing import Protocol

import msgspec


class Notice(msgspec.Struct, frozen=True):
    """Why, in words, and how many seconds are left, None where the cloud does not say."""

    why: str
    left_s: float | None


class Notices(Protocol):
    """What the machine's own metadata service says."""

    async def look(self) -> Notice | None:
        """The notice, None as long as there is none. Raises Unavailable."""
        ...
