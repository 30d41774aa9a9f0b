"""Who may come in without a key: programs on this machine, not web pages that reach it.

A page can have its own name resolve to 127.0.0.1 (DNS rebinding), and the browser then takes the
gateway for the page's own server. It still says the page's name, in Host and Origin.
"""

from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from headpond.errors import Forbidden
from headpond.services.authentication import is_loopback


class LocalDoor:
    """Checks the requests of the implicit local team. `host` is the address that is bound."""

    def __init__(self, host: str) -> None:
        self._host = host.lower()
        # The same few names again and again, and to parse one costs as much as to decode a body.
        self._ours = lru_cache(maxsize=32)(self._is_ours)

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises Forbidden. Browsers never leave Host out, nor Origin where another page asks."""
        host, origin = headers.get(b"host"), headers.get(b"origin")
        if host is not None and not self._ours(b"//" + host):
            raise _foreign("Host", host)
        if origin is not None and not self._ours(origin):
            raise _foreign("Origin", origin)

    def _is_ours(self, url: bytes) -> bool:
        try:
            name = urlsplit(url.decode("latin-1")).hostname
        except ValueError:
            return False
        return name is not None and (is_loopback(name) or name == self._host)


def _foreign(header: str, value: bytes) -> Forbidden:
    message = (
        f"Without API keys only this machine is served, by the names localhost and 127.0.0.1, and "
        f"{header} is {value[:128].decode('latin-1')!r}. Use such a name, or create a key with "
        "`headpond keys create` and send it."
    )
    return Forbidden(message, code="foreign_host")
