"""One request, one job: by the client's key, or by its SDK's own count of tries.

OpenAI's SDKs, and others that are generated like them, repeat a request by themselves when its
answer is lost or says so. They send no `Idempotency-Key`, but `x-stainless-retry-count`, 0 with the
first try; the body and what they say about themselves stay the same.
"""

import re
from hashlib import blake2b, sha256

import msgspec

from headpond.errors import InvalidRequest
from headpond.gateway.endpoint import Call, Parameter

IDEMPOTENCY_KEY = Parameter(
    name="Idempotency-Key",
    place="header",
    schema={"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    description="The same key and body lead to the same job, for a day.",
)

RETRY_COUNT = b"x-stainless-retry-count"

_KEY = re.compile(rb"[!-~]{1,255}")
_COUNT = re.compile(rb"[0-9]{1,4}")


class Sameness(msgspec.Struct, frozen=True):
    """What tells a request that came before: a key or the number of a try, neither or the key."""

    key: str | None = None
    try_number: int | None = None
    fingerprint: str = ""


NEW = Sameness()


def sameness(call: Call, body: bytes) -> Sameness:
    """What the headers promise. Raises InvalidRequest for a key that is none."""
    key = call.headers.get(b"idempotency-key")
    if key is not None:
        if not _KEY.fullmatch(key):
            message = "An Idempotency-Key has 1 to 255 visible ASCII characters."
            raise InvalidRequest(message, code="invalid_value", param="Idempotency-Key")
        fingerprint = sha256(call.path.encode() + b"\n" + body).hexdigest()
        return Sameness(key=key.decode(), fingerprint=fingerprint)
    count = call.headers.get(RETRY_COUNT)
    if count is None or not _COUNT.fullmatch(count):
        return NEW
    return Sameness(try_number=int(count), fingerprint=_of_client(call, body))


def _of_client(call: Call, body: bytes) -> str:
    """Of the request and of who sends it.

    Neither the credential, which may be a token that is renewed between two tries, nor the address,
    which is a proxy's: the team and what the SDK says about itself.
    """
    digest = blake2b(digest_size=16)
    about = [
        name + b"\0" + value
        for name, value in call.headers.items()
        if name == b"user-agent" or (name.startswith(b"x-stainless-") and name != RETRY_COUNT)
    ]
    identity = call.identity
    who = (identity.team, identity.feature or "", call.path)
    for part in (*(text.encode() for text in who), *sorted(about), body):
        digest.update(b"%d\n" % len(part))
        digest.update(part)
    return digest.hexdigest()
