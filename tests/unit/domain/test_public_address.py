"""Where webhooks may go. SPEC G3."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpond.domain.public_address import (
    MAX_HOST_CHARS,
    MAX_LABEL_CHARS,
    MAX_URL_CHARS,
    AddressRule,
)

LONGEST_HOST = ".".join(["a" * MAX_LABEL_CHARS] * 3 + ["a" * 61])

RULE = AddressRule()


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - that is what is refused
        "10.0.0.1",
        "100.64.0.1",  # carrier-grade NAT, and Alibaba's metadata
        "100.100.100.200",
        "127.0.0.1",
        "168.63.129.16",  # Azure
        "169.254.169.254",  # the others
        "172.16.0.1",
        "192.0.0.192",  # Oracle
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::8.8.8.8",
        "64:ff9b::a00:1",
        "2001::1",
        "2002:a00:1::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
        "not an address",
        "",
    ],
)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert RULE.address_fault(address) is not None


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450::1"])
def test_what_is_public_is_allowed(address: str) -> None:
    assert RULE.address_fault(address) is None


def test_networks_that_are_allowed_are_allowed_and_no_others() -> None:
    rule = AddressRule(("10.1.0.0/16", "fd00::/8"))
    assert rule.address_fault("10.1.2.3") is None
    assert rule.address_fault("fd00::1") is None
    assert rule.address_fault("10.2.0.1") is not None
    assert rule.address_fault("::ffff:10.1.2.3") is not None
    assert rule.address_fault("8.8.8.8") is None


@given(st.ip_addresses())
def test_no_address_is_allowed_that_python_would_not_call_global(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if RULE.address_fault(str(address)) is None:
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_reserved
        assert not address.is_link_local
        assert not address.is_loopback


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_has_no_second_way_in(address: ipaddress.IPv4Address) -> None:
    for disguise in (f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}"):
        assert RULE.address_fault(disguise) is not None
    assert RULE.address_fault(f"2002:{int(address) >> 16:x}:{int(address) & 0xFFFF:x}::1")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "example.com",
        "//example.com/",
        "https://",
        "https:///path",
        "https://.../",
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://@example.com/",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:port/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com/ space",
        "https://exämple.com/",
        "https://example.com/\n",
        "https://[::1",
        "https://127.0.0.1/",
        "https://127.0.0.1./",
        "https://127.1/",
        "https://127.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://0X7F.0.0.1/",
        "https://0177.0.0.1/",
        "https://017700000001/",
        "https://127.0.0.1:8443/",
        "https://8.8.8.8.1/",
        "https://256.1.1.1/",
        "https://[::]/",
        "https://[::1]:8443/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[fe80::1%25eth0]/",
        "https://169.254.169.254/latest/meta-data/",
        f"https://example.com/{'a' * MAX_URL_CHARS}",
        f"https://{'a' * (MAX_LABEL_CHARS + 1)}.example/",
        f"https://{LONGEST_HOST}a/",
        f"https://a{LONGEST_HOST}:8443/",
        f"https://a{'.' * (MAX_HOST_CHARS + 1)}/",
        f"https://example.com:{'0' * 1_000}443/",
        f"https://[2606:4700::1111%25{'a' * 250}]/",
    ],
)
def test_urls_that_are_refused_before_anybody_connects(url: str) -> None:
    assert RULE.url_fault(url) is not None


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com./hook",
        "HTTPS://EXAMPLE.COM/hook?token=1#f",
        "https://example.com:8443/hook",
        "https://xn--exmple-cua.com/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "https://1password.com/",
        f"https://{LONGEST_HOST}/",
        f"https://{LONGEST_HOST}.:65535/",
        "https://example.com:/",
        "https://127.0.0.1.nip.io/",  # a name: what it stands for is looked at when connecting
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    assert RULE.url_fault(url) is None


def test_plain_http_and_private_networks_are_the_operators_choice() -> None:
    rule = AddressRule(("127.0.0.0/8",), allow_http=True)
    assert rule.url_fault("http://127.0.0.1:8080/") is None
    assert rule.url_fault("http://10.0.0.1/") is not None
