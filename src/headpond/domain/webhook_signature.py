"""Signatures as Standard Webhooks defines them (specification 1.0.0, symmetric, `v1`)."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import NewType

Secret = NewType("Secret", str)
"""`whsec_` and the key in base64."""

SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with is no secret
SECRET_BYTES = 32
"""The specification wants 24 to 64."""


def secret_of(key: bytes) -> Secret:
    """The key as receivers are given it."""
    return Secret(SECRET_PREFIX + b64encode(key).decode())


def signed_headers(
    event_id: str, timestamp: int, body: bytes, secrets: Sequence[Secret]
) -> dict[str, str]:
    """The three headers; one signature for each secret, so that receivers can change over.

    `timestamp` is that of the attempt, in Unix seconds: receivers refuse old ones.
    """
    signed = b"%b.%d.%b" % (event_id.encode(), timestamp, body)
    signatures = [f"v1,{_signature(secret, signed)}" for secret in secrets]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def _signature(secret: Secret, signed: bytes) -> str:
    key = b64decode(secret.removeprefix(SECRET_PREFIX))
    return b64encode(hmac.digest(key, signed, "sha256")).decode()
