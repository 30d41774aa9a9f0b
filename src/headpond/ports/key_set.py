"""Where an identity provider publishes the public keys that its tokens are signed with."""

from typing import Protocol


class KeySet(Protocol):
    """A JSON Web Key Set (RFC 7517), wherever it lies."""

    async def read(self) -> bytes:
        """The set as it stands now, as JSON bytes. Raises Unavailable."""
        ...
