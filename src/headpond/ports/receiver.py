"""Whoever webhooks are sent to."""

from collections.abc import Mapping
from typing import Protocol

from headpond.domain.dispatch import Reaction


class Receiver(Protocol):
    """The web, as far as webhooks may go. Failures are reactions, not exceptions."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reaction:
        """Send a JSON body once, following no redirect; what the receiver made of it."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
