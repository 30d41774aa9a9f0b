"""What logs say of errors."""

import pytest

from headpond.errors import SettingsError, Unavailable, told


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            Unavailable("The store does not answer.\nDETAIL: no way", code="store_unavailable"),
            "store_unavailable: The store does not answer. DETAIL: no way",
        ),
        (SettingsError("home: cannot use it."), "SettingsError: home: cannot use it."),
        (ValueError("a\nb"), r"ValueError('a\nb')"),
    ],
)
def test_an_error_is_told_on_one_line(error: Exception, words: str) -> None:
    assert told(error) == words
