"""Our Cloud Storage does what Google's documentation says of the XML API.

Each test names the page that it follows.
"""

import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from tests.emulators.gcs_server import BUCKET, PAGE, Gcs
from tests.unit.emulators.asking import Answer, Ask, asking


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    async with asking(Gcs().app()) as ask:
        yield ask


def if_generation(number: str) -> dict[str, str]:
    return {"x-goog-if-generation-match": number}


def parsed(answer: Answer) -> ET.Element:
    return ET.fromstring(answer.body)  # noqa: S314 - our own server's


async def listed(ask: Ask, **query: str) -> ET.Element:
    return parsed(await ask("GET", f"/{BUCKET}", params={"list-type": "2", **query}))


async def written(ask: Ask, *names: str) -> None:
    for name in names:
        assert (await ask("PUT", f"/{BUCKET}/{name}", data=name.encode())).status == 200


async def test_what_must_not_be_there_is_written_once(ask: Ask) -> None:
    """Request preconditions."""
    first, second = [
        await ask("PUT", f"/{BUCKET}/a", data=data, headers=if_generation("0"))
        for data in (b"first", b"second")
    ]
    assert (first.status, second.status) == (200, 412)
    assert b"<Code>PreconditionFailed</Code>" in second.body
    assert (await ask("GET", f"/{BUCKET}/a")).body == b"first"


async def test_every_write_is_a_generation_and_an_old_one_matches_no_more(ask: Ask) -> None:
    """Request preconditions."""
    await written(ask, "a")
    old = (await ask("GET", f"/{BUCKET}/a")).headers["x-goog-generation"]
    written_over = await ask("PUT", f"/{BUCKET}/a", data=b"new", headers=if_generation(old))
    assert written_over.status == 200
    assert int(written_over.headers["x-goog-generation"]) > int(old)
    assert (await ask("PUT", f"/{BUCKET}/a", data=b"", headers=if_generation(old))).status == 412


async def test_a_list_has_pages_in_the_order_of_names_of_one_prefix(ask: Ask) -> None:
    """List objects, XML API."""
    await written(ask, "a/3", "b/1", "a/1", "a/2")
    pages: list[list[str | None]] = []
    more: dict[str, str] = {}
    while True:
        page = await listed(ask, prefix="a/", **more)
        pages.append([key.text for key in page.iter("Key")])
        if page.findtext("IsTruncated") == "false":
            break
        more = {"continuation-token": page.findtext("NextContinuationToken") or ""}
    assert pages == [["a/1", "a/2"], ["a/3"]]
    assert len(pages[0]) == PAGE


async def test_a_delimiter_rolls_up_what_goes_on_behind_it(ask: Ask) -> None:
    """List objects, XML API."""
    await written(ask, "a/b/1", "a/b/2", "a/c")
    page = await listed(ask, prefix="a/", delimiter="/")
    assert [prefix.text for prefix in page.iter("Prefix")] == ["a/b/"]
    assert [key.text for key in page.iter("Key")] == ["a/c"]
    assert page.findtext("IsTruncated") == "false"


async def test_when_it_was_written_is_told_of_an_object_and_in_lists(ask: Ask) -> None:
    """Get object metadata, and List objects, XML API."""
    began = datetime.now(UTC).replace(microsecond=0)
    await written(ask, "a")
    head = (await ask("HEAD", f"/{BUCKET}/a")).headers["Last-Modified"]
    in_list = (await listed(ask)).findtext("*/LastModified") or ""
    for when in (parsedate_to_datetime(head), datetime.fromisoformat(in_list)):
        assert began <= when <= datetime.now(UTC)


async def test_an_upload_in_parts_is_an_object_once_they_are_put_together(ask: Ask) -> None:
    """XML API multipart uploads."""
    uploads = [await ask("POST", f"/{BUCKET}/a", params={"uploads": ""}) for _ in range(2)]
    kept, given_up = [parsed(each).findtext("UploadId") or "" for each in uploads]
    for number, data in ((2, b"second"), (1, b"first, ")):
        part = {"uploadId": kept, "partNumber": str(number)}
        assert (await ask("PUT", f"/{BUCKET}/a", params=part, data=data)).status == 200
    assert (await ask("DELETE", f"/{BUCKET}/a", params={"uploadId": given_up})).status == 204
    assert (await ask("GET", f"/{BUCKET}/a")).status == 404
    assert (await ask("POST", f"/{BUCKET}/a", params={"uploadId": kept})).status == 200
    assert (await ask("GET", f"/{BUCKET}/a")).body == b"first, second"


async def test_a_range_is_partial_content(ask: Ask) -> None:
    """Download objects, XML API: Range."""
    await written(ask, "abcdef")
    part = await ask("GET", f"/{BUCKET}/abcdef", headers={"Range": "bytes=4-"})
    assert (part.status, part.body) == (206, b"ef")
    assert part.headers["Content-Range"] == "bytes 4-5/6"


@pytest.mark.parametrize(
    ("path", "code"), [(f"/{BUCKET}/none", b"NoSuchKey"), ("/other/none", b"NoSuchBucket")]
)
async def test_what_is_not_there_is_told_apart(ask: Ask, path: str, code: bytes) -> None:
    """HTTP status and error codes for XML."""
    answer = await ask("GET", path)
    assert answer.status == 404
    assert b"<Code>%s</Code>" % code in answer.body


async def test_an_object_is_removed_once(ask: Ask) -> None:
    """Delete object, XML API."""
    await written(ask, "a")
    assert [(await ask("DELETE", f"/{BUCKET}/a")).status for _ in range(2)] == [204, 404]
