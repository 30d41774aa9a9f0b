"""A team's endpoint: where its events go, which of them, and what they are signed with."""

from typing import NewType

import msgspec
from msgspec.structs import replace

from headpond.domain.webhook_event import EventType
from headpond.domain.webhook_signature import Secret

EndpointId = NewType("EndpointId", str)

CALLBACKS = "callbacks:"
MAX_SECRETS = 4
"""Each signs every attempt; rotations that follow each other closely drop the oldest."""


class Signer(msgspec.Struct, frozen=True):
    """A secret, and when it stops signing: never, unless it was rotated out."""

    secret: Secret
    until: float | None = None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Times are Unix seconds. `signers` has the present secret first, and is never empty.

    Without a `url` it is the team's endpoint for callbacks: each job brings the URL, the team's
    secret signs. `failing_since` is the first failure after the last success. `version` fences,
    as a job's does.
    """

    id: EndpointId
    team: str
    name: str = ""
    url: str | None = None
    event_types: tuple[EventType, ...] = ()
    signers: tuple[Signer, ...]
    created_at: float
    version: int = 1
    failing_since: float | None = None
    disabled_at: float | None = None
    disabled_reason: str | None = None

    def wants(self, kind: EventType) -> bool:
        """Whether events of this kind go to its URL now."""
        return self.disabled_at is None and self.url is not None and kind in self.event_types

    def secrets(self, now: float) -> list[Secret]:
        """What signs at this time: the present secret, and old ones within their overlap."""
        return [
            signer.secret for signer in self.signers if signer.until is None or signer.until > now
        ]

    def rotated(self, secret: Secret, now: float, *, overlap_s: float) -> "Endpoint":
        """With a new secret; those before it go on signing for `overlap_s` seconds at most."""
        until = now + overlap_s
        old = [
            Signer(signer.secret, until if signer.until is None else min(signer.until, until))
            for signer in self.signers
        ]
        standing = [signer for signer in old if signer.until is not None and signer.until > now]
        return self._next(signers=(Signer(secret), *standing[: MAX_SECRETS - 1]))

    def updated(
        self,
        *,
        name: str | None = None,
        url: str | None = None,
        event_types: tuple[EventType, ...] | None = None,
    ) -> "Endpoint":
        """With what is not None changed, and enabled: as if it had never failed."""
        return self._next(
            name=self.name if name is None else name,
            url=self.url if url is None else url,
            event_types=self.event_types if event_types is None else event_types,
            failing_since=None,
            disabled_at=None,
            disabled_reason=None,
        )

    def judged(
        self, now: float, *, gone: bool, delivered: bool, gave_up: bool, disable_after_s: float
    ) -> "Endpoint | None":
        """After some attempts, of which any was `gone`, `delivered`, `gave_up`; None: as it is.

        A long row of failures alone does not disable it: the clock may have jumped. Something must
        have been given up, too.
        """
        if self.disabled_at is not None:
            return None
        if gone:
            return self._disabled(now, "It answered 410 Gone.")
        if delivered:
            return self._next(failing_since=None) if self.failing_since else None
        if self.failing_since is None:
            return self._next(failing_since=now)
        if gave_up and now - self.failing_since >= disable_after_s:
            return self._disabled(now, "Nothing could be delivered for days.")
        return None

    def _disabled(self, now: float, reason: str) -> "Endpoint":
        return self._next(disabled_at=now, disabled_reason=reason)

    def _next(self, **changes: object) -> "Endpoint":
        return replace(self, version=self.version + 1, **changes)


def callbacks_of(team: str) -> EndpointId:
    """The id of the team's endpoint for callbacks; it stands whether that was made or not."""
    return EndpointId(CALLBACKS + team)
