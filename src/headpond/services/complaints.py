"""Complaints: what keeps failing in the same way is told once a minute."""

import asyncio
import math

from headpond.domain.facts import DutyFailed
from headpond.errors import told
from headpond.ports.events import Listener

TELL_AGAIN_S = 60.0


class Complaints:
    """Of one duty, or of what else goes on whatever fails."""

    def __init__(self, duty: str, listener: Listener) -> None:
        self._duty = duty
        self._listener = listener
        self._told = ""
        self._again_at = -math.inf

    def failed(self, error: Exception) -> None:
        """Tell it, if that is news."""
        now = asyncio.get_running_loop().time()
        words = told(error)
        if words != self._told or now >= self._again_at:
            self._told, self._again_at = words, now + TELL_AGAIN_S
            self._listener.hear(DutyFailed(self._duty, self._told))

    def went_well(self) -> None:
        """The next failure is news."""
        self._told = ""
