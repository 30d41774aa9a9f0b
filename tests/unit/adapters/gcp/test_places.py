"""URLs that name a place in Google Cloud."""

import pytest

from headpond.adapters.gcp.places import Place, place_of


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("firestore://my-project/pond", Place("my-project", "pond")),
        ("firestore://p/c?database=eu", Place("p", "c", "eu")),
    ],
)
def test_a_url_names_a_place(url: str, place: Place) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize("url", ["firestore://", "firestore://p", "firestore://p/a/b?x=y"])
def test_other_urls_name_none(url: str) -> None:
    with pytest.raises(ValueError, match="firestore://PROJECT/PREFIX"):
        place_of(url)
