"""Tokens of an identity provider: SPEC G5."""

import asyncio
import json
import sys
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from typing_extensions import override

from headpond.adapters.memory.keys import MemoryKeyStore
from headpond.domain.identity import Identity, Role
from headpond.errors import MissingExtra, Unauthenticated, Unavailable
from headpond.ports.key_set import KeySet
from headpond.services.authentication import Authentication
from headpond.services.tokens import LEEWAY_S, MAX_KEYS_AGE_S, MIN_REREAD_S, RETRY_S, Tokens
from headpond.settings import JwtSettings
from headpond.testing.clocks import ManualClock

SETTINGS = JwtSettings(jwks="unused", issuer="https://idp.example", audience="headpond")
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())


class Published(KeySet):
    """What the provider publishes, and how often it was asked."""

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.text = json.dumps({"keys": keys}).encode()
        self.asked = 0
        self.away = False

    def publish(self, *keys: dict[str, Any]) -> None:
        self.text = json.dumps({"keys": keys}).encode()

    @override
    async def read(self) -> bytes:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("away", code="key_set_unavailable")
        return self.text


def rsa_key(kid: str) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True), "kid": kid, "alg": "RS256"}


def ec_key(kid: str) -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(EC.public_key(), as_dict=True), "kid": kid}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def published() -> Published:
    return Published(rsa_key("r"), ec_key("e"))


@pytest.fixture
def tokens(published: Published, clock: ManualClock) -> Tokens:
    return Tokens(SETTINGS, published, clock)


def token(
    key: Any = EC, algorithm: str = "ES256", kid: str | None = "e", **claims: object
) -> bytes:
    given: dict[str, Any] = {
        "iss": SETTINGS.issuer,
        "aud": SETTINGS.audience,
        "exp": 1_000_600,
        "team": "team",
        **claims,
    }
    kept = {name: value for name, value in given.items() if value is not None}
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(kept, key, algorithm=algorithm, headers=headers).encode()


async def refused(tokens: Tokens, text: bytes) -> str:
    with pytest.raises(Unauthenticated) as raised:
        await tokens.identity(text)
    assert raised.value.code == "invalid_token"
    return raised.value.message


async def test_a_token_names_team_and_feature(tokens: Tokens) -> None:
    assert await tokens.identity(token(feature="search")) == Identity("team", "search")
    assert await tokens.identity(token(RSA, "RS256", "r")) == Identity("team")


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"roles": "operator"}, Role.OPERATOR),
        ({"roles": ["reader", "operator"]}, Role.OPERATOR),
        ({"roles": ["reader"]}, Role.TEAM),
        ({"role": "operator"}, Role.TEAM),
        ({}, Role.TEAM),
    ],
)
async def test_a_claim_makes_an_operator(
    published: Published, clock: ManualClock, claims: dict[str, Any], role: Role
) -> None:
    settings = JwtSettings(jwks="unused", role_claim="roles")
    tokens = Tokens(settings, published, clock)
    assert (await tokens.identity(token(**claims))).role is role


async def test_without_the_setting_no_token_is_an_operators(tokens: Tokens) -> None:
    assert (await tokens.identity(token(role="operator"))).role is Role.TEAM


async def test_the_claims_names_are_settings(published: Published, clock: ManualClock) -> None:
    settings = JwtSettings(jwks="unused", team_claim="org", feature_claim="app")
    tokens = Tokens(settings, published, clock)

    # Neither issuer nor audience is required, so both may be there or not.
    made = token(org="them", app="it", iss=None)
    assert await tokens.identity(made) == Identity("them", "it")


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"iss": "https://other.example"}, "issuer"),
        ({"aud": "other"}, "udience"),
        ({"aud": None}, "aud"),
        ({"exp": None}, "exp"),
        ({"exp": 1_000_000 - LEEWAY_S}, "expired"),
        ({"exp": "soon"}, "times"),
        ({"exp": float("nan")}, "times"),
        ({"exp": float("inf")}, "times"),
        ({"exp": 10**400}, "times"),
        ({"nbf": 10**400}, "times"),
        ({"nbf": 1_000_001 + LEEWAY_S}, "not valid yet"),
        ({"team": None}, "team"),
        ({"team": ""}, "team"),
        ({"team": 7}, "team"),
        ({"team": "a\x00b"}, "team"),
        ({"team": "t" * 257}, "team"),
    ],
)
async def test_a_bad_claim_is_refused(tokens: Tokens, claims: dict[str, Any], why: str) -> None:
    assert why in await refused(tokens, token(**claims))


async def test_clocks_may_differ_a_little(tokens: Tokens) -> None:
    await tokens.identity(token(exp=1_000_000 - LEEWAY_S + 1, nbf=1_000_000 + LEEWAY_S))


async def test_a_forged_token_is_refused(tokens: Tokens) -> None:
    await refused(tokens, token(OTHER))
    await refused(tokens, b"nonsense")
    await refused(tokens, b"a.b.c")
    await refused(tokens, token("a secret that is long enough for HS256", "HS256"))
    unsigned = jwt.encode({"team": "team", "exp": 2_000_000}, "", algorithm="none")
    await refused(tokens, unsigned.encode())


async def test_the_keys_are_read_once(tokens: Tokens, published: Published) -> None:
    for _ in range(3):
        await tokens.identity(token())

    assert published.asked == 1


async def test_a_new_key_is_found_when_a_token_names_it(
    tokens: Tokens, published: Published, clock: ManualClock
) -> None:
    await tokens.identity(token())
    published.publish(ec_key("new"))
    assert "does not publish" in await refused(tokens, token(kid="new"))

    clock.advance(MIN_REREAD_S)
    await tokens.identity(token(kid="new"))
    assert published.asked == 2


async def test_made_up_key_names_do_not_reach_the_provider(
    tokens: Tokens, published: Published
) -> None:
    for number in range(20):
        await refused(tokens, token(kid=f"made-up-{number}"))

    assert published.asked == 1


async def test_a_withdrawn_key_stops_working_within_the_hour(
    tokens: Tokens, published: Published, clock: ManualClock
) -> None:
    await tokens.identity(token())
    published.publish(rsa_key("r"))
    clock.advance(MAX_KEYS_AGE_S)

    await refused(tokens, token(exp=2_000_000))


async def test_known_keys_work_while_the_provider_is_away(
    tokens: Tokens, published: Published, clock: ManualClock
) -> None:
    await tokens.identity(token())
    published.away = True
    clock.advance(MAX_KEYS_AGE_S)

    await tokens.identity(token(exp=2_000_000))
    clock.advance(MIN_REREAD_S)
    with pytest.raises(Unavailable):
        await tokens.identity(token(kid="other", exp=2_000_000))


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": [{"kty": "x"}]}'])
async def test_a_key_set_that_makes_no_sense_is_the_providers_fault(
    tokens: Tokens, published: Published, text: bytes
) -> None:
    published.text = text
    with pytest.raises(Unavailable):
        await tokens.identity(token())


async def test_a_lone_key_serves_tokens_that_name_none(clock: ManualClock) -> None:
    alone = Tokens(SETTINGS, Published(ec_key("e")), clock)
    several = Tokens(SETTINGS, Published(rsa_key("r"), ec_key("e")), clock)

    assert await alone.identity(token(kid=None)) == Identity("team")
    await refused(several, token(kid=None))


async def test_of_several_keys_without_a_name_each_is_tried(clock: ManualClock) -> None:
    nameless = [{**key, "kid": None} for key in (rsa_key(""), ec_key(""))]
    keys = [{name: value for name, value in key.items() if value} for key in nameless]
    for published in (Published(*keys), Published(*keys[::-1])):
        tokens = Tokens(SETTINGS, published, clock)
        assert await tokens.identity(token(kid=None)) == Identity("team")
        await refused(tokens, token(OTHER, kid=None))


async def test_a_key_for_encryption_signs_nothing(clock: ManualClock) -> None:
    tokens = Tokens(SETTINGS, Published({**ec_key("e"), "use": "enc"}, rsa_key("r")), clock)

    await refused(tokens, token())


async def test_a_provider_that_is_away_is_not_asked_by_everybody(
    tokens: Tokens, published: Published, clock: ManualClock
) -> None:
    published.away = True
    asking = [tokens.identity(token()) for _ in range(20)]
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert published.asked == 1

    published.away = False
    clock.advance(RETRY_S)
    await tokens.identity(token())


async def test_who_has_a_known_key_does_not_wait_while_somebody_reads(
    tokens: Tokens, published: Published, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tokens.identity(token())
    clock.advance(MAX_KEYS_AGE_S)
    answered = asyncio.Event()

    async def slow() -> bytes:
        await answered.wait()
        return published.text

    monkeypatch.setattr(published, "read", slow)
    reading = asyncio.create_task(tokens.identity(token(exp=2_000_000)))
    await asyncio.sleep(0)

    assert await tokens.identity(token(exp=2_000_000)) == Identity("team")
    assert not reading.done()
    answered.set()
    await reading


async def test_with_a_provider_nobody_is_local(tokens: Tokens, clock: ManualClock) -> None:
    authentication = Authentication(MemoryKeyStore(), tokens, clock)

    assert await authentication.identify(b"Bearer " + token()) == Identity("team")
    with pytest.raises(Unauthenticated):
        await authentication.identify(None)


async def test_without_the_extra_the_command_is_named(
    published: Published, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(MissingExtra, match=r"pip install '\.\[jwt\]'"):
        Tokens(SETTINGS, published, clock)
