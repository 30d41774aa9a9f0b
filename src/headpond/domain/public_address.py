"""Where webhooks may go: the rule that keeps them out of our own networks.

Customers choose the URLs, the gateway opens the connections: without a rule it would be their arm
inside the network (server-side request forgery). The URL is checked for form when it is given. The
address is checked when it is connected to, that very address and not the name, so a name whose
answer changes between the check and the connection gains nothing.
"""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

MAX_URL_CHARS = 2048
MAX_HOST_CHARS, MAX_LABEL_CHARS = 253, 63
"""RFC 1035, section 2.3.4: 255 octets as names are sent, a length for each label and one for the
root among them."""

# Beyond those that are not global anyway: what Python's releases judge differently, and what
# leads to an IPv4 address by another way.
FORBIDDEN = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT
        "168.63.129.16/32",  # Azure's metadata and DNS, the one metadata address that is public
        "192.0.0.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",
        "224.0.0.0/3",  # multicast, reserved, broadcast
        # All that is not 2000::/3, the part of IPv6 that is given out: unspecified, loopback,
        # IPv4-mapped, IPv4-compatible, NAT64, unique local, link-local, site-local, multicast.
        "::/3",
        "4000::/2",
        "8000::/1",
        "2001::/23",  # Teredo, ORCHID and other protocols
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
    )
)

_URL = re.compile(r"[!-~]+")
_LABEL_OF_A_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRule(msgspec.Struct, frozen=True):
    """The operator's exceptions: networks in CIDR form, and whether plain http will do."""

    allowed_networks: Sequence[str] = ()
    allow_http: bool = False

    def address_fault(self, text: str) -> str | None:
        """Why this address may not be connected to; None if it may."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return f"{text} is no IP address."
        networks = [ipaddress.ip_network(network) for network in self.allowed_networks]
        if any(address in network for network in networks) or _is_public(address):
            return None
        return f"{text} is not a public address (webhooks.allowed_networks)."

    def url_fault(self, url: str) -> str | None:  # noqa: PLR0911 - a return for each rule
        """What is wrong with the form of a URL; None if nothing. Names are not resolved here."""
        if not _URL.fullmatch(url) or "\\" in url or len(url) > MAX_URL_CHARS:
            return f"A URL has 1 to {MAX_URL_CHARS} visible ASCII characters, and no backslash."
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return "This is no URL."
        if parts.scheme not in ("https", "http") or not host:
            return "The URL must be absolute and begin with https://."
        if parts.scheme == "http" and not self.allow_http:
            return "The URL must begin with https:// (webhooks.allow_http)."
        if "@" in parts.netloc:
            return "The URL must not hold a user name or password."
        if port == 0:
            return "Port 0 is no port."
        if port is not None and not parts.netloc.endswith(f":{port}"):
            return "A port is written without zeros before it."
        return _length_fault(host.removesuffix(".")) or self._host_fault(host.rstrip("."))

    def _host_fault(self, host: str) -> str | None:
        if ":" in host or _LABEL_OF_A_NUMBER.fullmatch(host.rpartition(".")[2]):
            return self.address_fault(host)
        return None if host else "The URL names no host."


def _length_fault(host: str) -> str | None:
    if len(host) > MAX_HOST_CHARS:
        return f"The host of the URL has at most {MAX_HOST_CHARS} characters."
    if any(len(label) > MAX_LABEL_CHARS for label in host.split(".")):
        return f"A label of the host has at most {MAX_LABEL_CHARS} characters."
    return None


def _is_public(address: Address) -> bool:
    # The other family's networks hold no address of this one.
    return address.is_global and not any(address in network for network in FORBIDDEN)
