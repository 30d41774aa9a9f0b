"""How long a destination of webhooks is left alone when it fails."""

import msgspec

from headpond.domain.dispatch import Reaction

LEAVE_ALONE_S = 1.0
LEAVE_ALONE_SHARE = 0.1
MAX_LEAVE_ALONE_S = 300.0

FORGIVEN = 1
"""Failures in a row that cost no pause: one refusal among many says nothing of the rest."""


class Health(msgspec.Struct, frozen=True):
    """How a destination has done lately. Times are seconds of one clock that never jumps.

    It failed `failures` times since its last success, first at `failing_since`, and is left alone
    until `alone_until`: as long as it wished, and longer the longer it fails. Others get the room.
    """

    failures: int = 0
    failing_since: float = 0.0
    alone_until: float = 0.0

    def after(self, reaction: Reaction, now: float) -> "Health":
        """What one more attempt says."""
        if reaction.ok:
            return Health(alone_until=self.alone_until)
        failing_since = self.failing_since if self.failures else now
        alone_s = reaction.retry_after_s or 0.0
        if self.failures >= FORGIVEN:
            alone_s = max(alone_s, LEAVE_ALONE_S, (now - failing_since) * LEAVE_ALONE_SHARE)
        alone_until = now + min(alone_s, MAX_LEAVE_ALONE_S)
        return Health(self.failures + 1, failing_since, max(self.alone_until, alone_until))
