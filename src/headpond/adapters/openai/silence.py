"""Tells of an engine that is not healthy for long: where it should be, and what came instead."""

import asyncio
import logging

TELL_AFTER_S = 5.0
TELL_AGAIN_S = 60.0

log = logging.getLogger(__name__)


class Silence:
    """Of one engine, named as people are told of it."""

    def __init__(self, name: str, url: str) -> None:
        self._name = name
        self._url = url
        self._since: float | None = None
        self._tell_at = 0.0

    def broken(self) -> None:
        """The engine is healthy."""
        self._since = None

    def lasts(self, why: str) -> None:
        """It is not."""
        now = asyncio.get_running_loop().time()
        if self._since is None:
            self._since, self._tell_at = now, now + TELL_AFTER_S
        if now >= self._tell_at:
            self._tell_at = now + TELL_AGAIN_S
            log.warning(
                "engine %s at %s has not been healthy for %.0f s: %s",
                self._name,
                self._url,
                now - self._since,
                why,
            )
