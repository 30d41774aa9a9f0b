"""Complaints: what keeps failing in the same way is news once a minute."""

import asyncio

from headpond.domain.facts import DutyFailed, DutyWellAgain
from headpond.errors import TryLater, told
from headpond.ports.events import Listener

TELL_AGAIN_S = 60.0

MANY = 100
"""Of so many ways to fail in that time the others are no news any more."""


class Complaints:
    """Of one duty, or of what else goes on whatever fails."""

    def __init__(self, duty: str, listener: Listener) -> None:
        self._duty = duty
        self._listener = listener
        self._again_at: dict[str, float] = {}
        self._since: float | None = None

    def failed(self, error: Exception) -> None:
        """Tell it, and whether that is news."""
        now, words = asyncio.get_running_loop().time(), told(error)
        self._again_at = {said: at for said, at in self._again_at.items() if at > now}
        news = words not in self._again_at and len(self._again_at) < MANY
        if news:
            self._again_at[words] = now + TELL_AGAIN_S
        if self._since is None:
            self._since = now
        self._listener.hear(failure(self._duty, error, news=news))

    def went_well(self) -> None:
        """Tell it after a failure; the next one is news."""
        self._again_at.clear()
        if self._since is not None:
            now = asyncio.get_running_loop().time()
            self._listener.hear(DutyWellAgain(self._duty, now - self._since))
            self._since = None


def failure(duty: str, error: BaseException, *, news: bool = True) -> DutyFailed:
    """The fact that this has happened."""
    return DutyFailed(duty, told(error), isinstance(error, TryLater), news)
