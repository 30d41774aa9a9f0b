"""When suspects get an engine that others use too.

Suspects are tried with nothing beside them, and a worker that waits for that does nothing else. So
it waits a moment for the others' requests to end, and if they do not, it sets its suspects aside
and works on. It tries again later, for at most a tenth of the time. Once the engine has been
crowded for as long as an answer may take, others feed it without end: the suspects have waited
enough and are tried beside them.
"""

PATIENCE_S = 5.0
"""Longest wait for the requests of others, once the worker's own have ended."""

ASIDE = 9
"""How many times as long as it was held up a worker then goes on."""


class Crowd:
    """What a worker knows of others at its engine. Times are seconds of any clock that only rises.

    A group of suspects is tried at the latest `bound_s` after it first met others there, and as
    soon after that as the worker's own requests have ended.
    """

    def __init__(self, *, bound_s: float) -> None:
        self._bound_s = bound_s
        self._since: float | None = None
        self._alone_since: float | None = None
        self._held_up_since: float | None = None
        self._aside_until: float | None = None

    def aside(self, now: float) -> bool:
        """True while the worker should go on without its suspects."""
        return self._aside_until is not None and now < self._aside_until

    def holds_up(self, now: float) -> None:
        """The worker pulls nothing, for its suspects' sake."""
        if self._held_up_since is None:
            self._held_up_since = now

    def gives_way(self, now: float, *, crowded: bool) -> bool:
        """Whether suspects may be tried now: the worker's own requests have ended."""
        if not crowded:
            self.clear()
            return True
        self._since = now if self._since is None else self._since
        self._alone_since = now if self._alone_since is None else self._alone_since
        held_up_since = self._alone_since if self._held_up_since is None else self._held_up_since
        until = self._since + self._bound_s
        if now > until:
            self.clear()
            return True
        if now - self._alone_since >= PATIENCE_S:
            self._aside_until = min(now + ASIDE * (now - held_up_since), until)
            self._alone_since = self._held_up_since = None
        return False

    def clear(self) -> None:
        """Begin anew: suspects were tried, or the engine failed with others."""
        self._since = self._alone_since = self._held_up_since = self._aside_until = None
