"""Uploads, as they come over the wire. SPEC G2."""

import asyncio

import pytest
from msgspec.structs import replace
from starlette.types import Message

from headpond.domain.file import FileId, Purpose
from headpond.gateway import forms
from headpond.ports.files import FileQuery
from tests.stages import MAX_FILE_BYTES, Reply, Stage

BOUNDARY = "xyz"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
PURPOSE = ('form-data; name="purpose"', b"batch")
FILE = ('form-data; name="file"; filename="input.jsonl"', b"{}\n")
MISSING = f"file-{0:032x}"

Part = tuple[str, bytes]


def form(*parts: Part) -> bytes:
    text = b"".join(
        b"--%b\r\nContent-Disposition: %b\r\n\r\n%b\r\n" % (BOUNDARY.encode(), head.encode(), body)
        for head, body in parts
    )
    return text + b"--%b--\r\n" % BOUNDARY.encode()


def field(name: str, value: bytes) -> Part:
    return f'form-data; name="{name}"', value


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def upload(stage: Stage, *parts: Part, **headers: str) -> Reply:
    return await stage.request(
        "POST", "/v1/files", body=form(*parts), headers={"content-type": TYPE, **headers}
    )


async def nothing_is_left(stage: Stage) -> bool:
    files = await stage.file_store.find(FileQuery(team="local", now=0.0))
    return not files and not await stage.blobs.written_before(2**40)


async def test_fields_may_come_before_the_file_or_after_it(stage: Stage) -> None:
    before = await upload(stage, PURPOSE, FILE)
    after = await upload(stage, FILE, PURPOSE)

    assert (before.status, after.status) == (200, 200)
    assert before.json["bytes"] == 3
    assert before.json["filename"] == "input.jsonl"
    assert before.json["expires_at"] == before.json["created_at"] + 30 * 86_400


async def test_a_file_in_many_small_pieces_comes_back_as_it_was(stage: Stage) -> None:
    content = bytes(range(256)) * 300 + b"\r\n--xy\r\n--xyz-"
    text = form(PURPOSE, ("form-data; name=file", content))
    pieces = [text[begin : begin + 7] for begin in range(0, len(text), 7)]
    made = await stage.request("POST", "/v1/files", body=pieces, headers={"content-type": TYPE})
    read = await stage.get(f"/v1/files/{made.json['id']}/content")

    assert made.json["bytes"] == len(content)
    assert made.json["filename"] == "upload"
    assert read.body == content
    assert read.headers["content-length"] == str(len(content))
    assert read.headers["content-disposition"].startswith("attachment")
    head = await stage.request("HEAD", f"/v1/files/{made.json['id']}/content")
    assert (head.body, head.headers["content-length"]) == (b"", str(len(content)))


@pytest.mark.parametrize(
    ("parts", "param"),
    [
        ([PURPOSE], "file"),
        ([FILE], "purpose"),
        ([FILE, field("purpose", b"vision")], "purpose"),
        ([FILE, PURPOSE, FILE], "file"),
        ([FILE, PURPOSE, PURPOSE], "purpose"),
        ([FILE, PURPOSE, field("colour", b"red")], "colour"),
        ([FILE, field("purpose", b"\xff")], "purpose"),
        ([FILE, PURPOSE, field("expires_after[seconds]", b"3600")], "expires_after[anchor]"),
        (
            [FILE, PURPOSE, field("expires_after[anchor]", b"created_at")],
            "expires_after[seconds]",
        ),
        (
            [
                FILE,
                PURPOSE,
                field("expires_after[anchor]", b"created_at"),
                field("expires_after[seconds]", b"60"),
            ],
            "expires_after[seconds]",
        ),
        ([FILE, PURPOSE, field("long", b"x" * 5_000)], None),
        ([FILE, PURPOSE, *(field(f"{n}", b"") for n in range(20))], None),
    ],
)
async def test_a_form_that_is_not_right(stage: Stage, parts: list[Part], param: str | None) -> None:
    reply = await upload(stage, *parts)

    assert reply.status == 400
    assert reply.error["param"] == param
    assert await nothing_is_left(stage)


@pytest.mark.parametrize(
    "body", [b"", b"no form", form(PURPOSE, FILE)[:-9], b"--xyz\r\nContent-Disposition\r\n\r\n"]
)
async def test_a_form_that_cannot_be_read(stage: Stage, body: bytes) -> None:
    reply = await stage.request("POST", "/v1/files", body=body, headers={"content-type": TYPE})

    assert reply.status == 400
    assert reply.error["code"] == "invalid_form"
    assert await nothing_is_left(stage)


@pytest.mark.parametrize(
    "kind", ["application/json", "multipart/form-data", "multipart/form-data; boundary=", ""]
)
async def test_an_upload_is_a_form(stage: Stage, kind: str) -> None:
    reply = await stage.request("POST", "/v1/files", body=b"", headers={"content-type": kind})
    assert reply.status == 415


async def test_a_boundary_has_its_bound(stage: Stage) -> None:
    kind = f"multipart/form-data; boundary={'x' * 999}"
    reply = await stage.request("POST", "/v1/files", body=b"", headers={"content-type": kind})
    assert reply.error["code"] == "invalid_form"


async def test_a_file_that_says_that_it_is_too_large_is_refused_unread(stage: Stage) -> None:
    async def receive() -> Message:
        raise AssertionError

    reply = await stage.request(
        "POST",
        "/v1/files",
        headers={"content-type": TYPE, "content-length": str(2 * MAX_FILE_BYTES)},
        receive=receive,
    )
    assert reply.status == 413
    assert reply.error["code"] == "file_too_large"
    assert "(batches.max_file_bytes)" in reply.error["message"]


async def test_a_file_that_becomes_too_large_leaves_nothing(stage: Stage) -> None:
    text = form(PURPOSE, ("form-data; name=file", b"x" * (MAX_FILE_BYTES + 1)))
    reply = await stage.request("POST", "/v1/files", body=[text], headers={"content-type": TYPE})

    assert reply.status == 413
    assert await nothing_is_left(stage)


async def test_a_file_of_the_largest_size_is_taken(stage: Stage) -> None:
    reply = await upload(stage, PURPOSE, ("form-data; name=file", b"x" * MAX_FILE_BYTES))
    assert reply.status == 200


async def test_a_teams_files_have_a_bound_together(stage: Stage) -> None:
    whole = ("form-data; name=file", b"x" * MAX_FILE_BYTES)
    kept, *others = [await upload(stage, PURPOSE, whole) for _ in range(4)]
    assert [reply.status for reply in (kept, *others)] == [200] * 4
    refused = await upload(stage, PURPOSE, ("form-data; name=file", b"x"))
    assert (refused.status, refused.error["code"]) == (413, "file_quota_exceeded")
    assert "batches.max_team_bytes" in refused.error["message"]
    assert (await stage.request("DELETE", f"/v1/files/{kept.json['id']}")).status == 200
    assert (await upload(stage, PURPOSE, ("form-data; name=file", b"x"))).status == 200


async def test_a_client_that_leaves_in_mid_upload_leaves_nothing(stage: Stage) -> None:
    text = form(PURPOSE, ("form-data; name=file", b"x" * 50_000))
    messages: list[Message] = [
        {"type": "http.request", "body": text[:20_000], "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    reply = await stage.request(
        "POST", "/v1/files", headers={"content-type": TYPE}, receive=receive
    )
    assert reply.status == 0
    assert await nothing_is_left(stage)


async def test_a_client_that_says_nothing_is_not_waited_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forms, "SILENCE_S", 0.01)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    reply = await stage.request(
        "POST", "/v1/files", headers={"content-type": TYPE}, receive=receive
    )
    assert reply.status == 408
    assert await nothing_is_left(stage)


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_a_web_page_cannot_upload_where_no_key_is_needed(stage: Stage, origin: str) -> None:
    # SPEC G5: a browser sends such a form without asking first, but says where it comes from.
    reply = await upload(stage, PURPOSE, FILE, origin=origin)

    assert reply.status == 403
    assert await nothing_is_left(stage)


async def test_teams_see_their_own_files_and_batches_alone(stage: Stage) -> None:
    mine = {"authorization": f"Bearer {(await stage.keys.create('mine')).secret}"}
    theirs = {"authorization": f"Bearer {(await stage.keys.create('theirs')).secret}"}
    file = (await upload(stage, PURPOSE, FILE, **mine)).json
    order = {
        "input_file_id": file["id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "1h",
    }
    batch = (await stage.request("POST", "/v1/batches", order, headers=mine)).json

    for path in (f"/v1/files/{file['id']}", f"/v1/batches/{batch['id']}"):
        assert (await stage.request("GET", path, headers=mine)).status == 200
        assert (await stage.request("GET", path, headers=theirs)).status == 404
    for path in ("/v1/files", "/v1/batches"):
        assert len((await stage.request("GET", path, headers=mine)).json["data"]) == 1
        reply = await stage.request("GET", path, headers=theirs)
        assert reply.json["data"] == []
        assert reply.json["last_id"] is None
    stolen = await stage.request("POST", "/v1/batches", order, headers=theirs)
    assert stolen.error["code"] == "file_not_found"
    cancel = f"/v1/batches/{batch['id']}/cancel"
    assert (await stage.request("POST", cancel, headers=theirs)).status == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/files/none", 404),
        (f"/v1/files/{MISSING}", 404),
        (f"/v1/files/{MISSING}/content", 404),
        (f"/v1/files?after={MISSING}", 404),
        ("/v1/files?limit=0", 400),
        ("/v1/files?limit=x", 400),
        ("/v1/files?order=up", 400),
        ("/v1/files?purpose=none", 400),
        ("/v1/batches/none", 404),
        (f"/v1/batches/batch_{0:032x}", 404),
        ("/v1/batches?after=none", 404),
        ("/v1/batches?limit=101", 400),
    ],
)
async def test_what_is_not_there(stage: Stage, path: str, status: int) -> None:
    assert (await stage.get(path)).status == status


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"completion_window": "31d"}, "completion_window"),
        ({"completion_window": "soon"}, "completion_window"),
        ({"endpoint": "/v1/embeddings"}, "endpoint"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 1}}, None),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_batch_that_cannot_be(
    stage: Stage, changes: dict[str, object], param: str | None
) -> None:
    order = {
        "input_file_id": MISSING,
        "endpoint": "/v1/responses",
        "completion_window": "1h",
        **changes,
    }
    reply = await stage.post("/v1/batches", order)
    assert reply.status == 400
    assert param is None or reply.error["param"] == param


async def test_a_batch_reads_no_output_and_open_ones_are_bounded(stage: Stage) -> None:
    made = (await upload(stage, PURPOSE, FILE)).json["id"]
    order = {"input_file_id": made, "endpoint": "/v1/responses", "completion_window": "1h"}
    replies = [await stage.post("/v1/batches", order) for _ in range(4)]

    assert [reply.status for reply in replies] == [200, 200, 200, 429]
    assert replies[3].error["code"] == "too_many_open_batches"
    file = await stage.file_store.get(FileId(made))
    assert file is not None
    output = replace(file, purpose=Purpose.BATCH_OUTPUT)
    await stage.file_store.put(output)
    assert (await stage.post("/v1/batches", order)).error["code"] == "invalid_purpose"
