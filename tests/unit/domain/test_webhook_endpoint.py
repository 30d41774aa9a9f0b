"""Secrets that change over, and endpoints that are given up. SPEC G3."""

import pytest
from msgspec.structs import replace

from headpond.domain.webhook_endpoint import MAX_SECRETS
from headpond.domain.webhook_event import EventType
from headpond.domain.webhook_signature import Secret, secret_of, signed_headers
from headpond.testing.webhooks_suite import an_endpoint

NOW = 1_000_000.0
DAY_S = 86_400.0
OLD = an_endpoint().signers[0].secret


def test_old_and_new_sign_during_the_overlap() -> None:
    rotated = an_endpoint().rotated(Secret("new"), NOW, overlap_s=DAY_S)
    assert rotated.secrets(NOW) == ["new", OLD]
    assert rotated.secrets(NOW + DAY_S - 1) == ["new", OLD]
    assert rotated.secrets(NOW + DAY_S) == ["new"]


def test_without_an_overlap_the_old_secret_signs_nothing_more() -> None:
    rotated = an_endpoint().rotated(Secret("b"), NOW, overlap_s=DAY_S)
    rotated = rotated.rotated(Secret("c"), NOW, overlap_s=0)
    assert rotated.secrets(NOW) == ["c"]


def test_another_rotation_lengthens_no_overlap() -> None:
    rotated = an_endpoint().rotated(Secret("b"), NOW, overlap_s=DAY_S)
    rotated = rotated.rotated(Secret("c"), NOW + DAY_S / 2, overlap_s=DAY_S)
    assert rotated.secrets(NOW + DAY_S) == ["c", "b"]


def test_secrets_that_sign_are_bounded() -> None:
    endpoint = an_endpoint()
    for number in range(10):
        endpoint = endpoint.rotated(Secret(str(number)), NOW, overlap_s=DAY_S)
    assert endpoint.secrets(NOW) == ["9", "8", "7", "6"]
    assert len(endpoint.signers) == MAX_SECRETS


def test_a_signature_has_a_part_for_each_secret() -> None:
    secrets = [secret_of(b"a" * 32), secret_of(b"b" * 32)]
    headers = signed_headers("msg_1", 1_674_087_231, b"{}", secrets)
    assert headers["webhook-id"] == "msg_1"
    assert headers["webhook-timestamp"] == "1674087231"
    assert [part[:3] for part in headers["webhook-signature"].split(" ")] == ["v1,", "v1,"]


@pytest.mark.parametrize(
    ("failing_since", "gone", "delivered", "gave_up", "disabled", "failing"),
    [
        (None, False, True, False, None, None),
        (None, False, False, False, None, NOW),
        (None, False, False, True, None, NOW),
        (NOW - DAY_S, False, True, False, None, None),
        (NOW - DAY_S, False, False, True, None, NOW - DAY_S),
        (NOW - 3 * DAY_S, False, False, False, None, NOW - 3 * DAY_S),
        (NOW - 3 * DAY_S, False, False, True, NOW, NOW - 3 * DAY_S),
        (NOW - 3 * DAY_S, False, True, True, None, None),
        (None, True, True, True, NOW, None),
    ],
)
def test_what_an_endpoint_is_disabled_for(
    *,
    failing_since: float | None,
    gone: bool,
    delivered: bool,
    gave_up: bool,
    disabled: float | None,
    failing: float | None,
) -> None:
    before = an_endpoint(failing_since=failing_since)
    after = before.judged(
        NOW, gone=gone, delivered=delivered, gave_up=gave_up, disable_after_s=3 * DAY_S
    )
    stands = before if after is None else after
    assert (stands.disabled_at, stands.failing_since) == (disabled, failing)
    assert (stands.disabled_reason is None) == (disabled is None)
    assert after is None or after.version == before.version + 1


def test_a_disabled_endpoint_is_not_judged_again_and_any_change_enables_it() -> None:
    gone = an_endpoint().judged(NOW, gone=True, delivered=False, gave_up=True, disable_after_s=1)
    assert gone is not None
    assert not gone.wants(EventType.JOB_SUCCEEDED)
    assert gone.judged(NOW, gone=True, delivered=False, gave_up=True, disable_after_s=1) is None
    assert gone.updated() == replace(an_endpoint(), version=3)
    assert gone.updated(url="https://example.org/").url == "https://example.org/"
