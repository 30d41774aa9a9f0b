"""Time, as a port: tests and simulations bring their own."""

from typing import Protocol


class Clock(Protocol):
    """Wall time. Waiting is asyncio's, so a virtual event loop carries both."""

    def now(self) -> float:
        """Unix time in seconds."""
        ...
