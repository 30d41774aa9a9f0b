"""Where dispatches go together."""

import re

import msgspec

from headpond.domain.bounded import bounded
from headpond.domain.webhook_endpoint import EndpointId

ORIGIN_BYTES = 300
"""Those of URLs that are taken have at most 269 (`domain/public_address.py`).

Older releases took longer hosts, and no index has room for every one of them.
"""

_ORIGIN = re.compile(r"[^/?#]*(?://[^/?#]*)?")


class Destination(msgspec.Struct, frozen=True):
    """An endpoint; that of callbacks is one for each `origin` (scheme, host, port) of their URLs.

    So a receiver that fails delays what is for itself, and not the other callbacks of its team.
    """

    endpoint: EndpointId
    origin: str = ""


def destination_of(endpoint: EndpointId, callback: str | None) -> Destination:
    """Where something goes; `callback` is the job's own URL, None where the endpoint's counts."""
    if callback is None:
        return Destination(endpoint)
    # Asked while a job ends, so it finds something in any text.
    return Destination(endpoint, bounded(_ORIGIN.findall(callback)[0].lower(), ORIGIN_BYTES))
