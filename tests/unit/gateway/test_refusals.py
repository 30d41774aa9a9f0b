"""Bad input: one envelope, the field at fault by name, nothing left behind."""

import asyncio
import json
from collections.abc import Sequence
from typing import Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Message
from typing_extensions import override

from headpond.domain.facts import DutyFailed, RequestRefused
from headpond.errors import Unavailable
from headpond.gateway.job_schema import JobRequest
from headpond.ports.delivery import Delivery
from headpond.ports.jobs import Added, Existing, NewJob
from headpond.settings import GatewaySettings
from headpond.testing.virtual_time import LoopClock, run_virtually
from tests.stages import Stage

DEEP = 32
BAD_FIELDS: list[tuple[dict[str, object], str]] = [
    ({}, "prompt"),
    ({"prompt": ""}, "prompt"),
    ({"prompt": " \n"}, "prompt"),
    ({"prompt": None}, "prompt"),
    ({"prompt": 1}, "prompt"),
    ({"prompt": ["a"]}, "prompt"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "king", "content": "a"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages"),
    ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "messages"),
    ({"messages": [{"content": "a"}]}, "messages[0].role"),
    ({"prompt": "a", "messages": [{"role": "user", "content": "a"}]}, "prompt"),
    ({"prompt": "a", "temperature": 2.1}, "temperature"),
    ({"prompt": "a", "temperature": "hot"}, "temperature"),
    ({"prompt": "a", "temperature": True}, "temperature"),
    ({"prompt": "a", "top_p": -0.1}, "top_p"),
    ({"prompt": "a", "n": 0}, "n"),
    ({"prompt": "a", "n": 1.5}, "n"),
    ({"prompt": "a", "max_tokens": 0}, "max_tokens"),
    ({"prompt": "a", "max_tokens": 4097}, "max_tokens"),
    ({"prompt": "a", "max_completion_tokens": 4097}, "max_completion_tokens"),
    ({"prompt": "a", "max_completion_tokens": 1, "max_tokens": 4097}, "max_tokens"),
    ({"prompt": "a", "seed": 2**63}, "seed"),
    ({"prompt": "a", "stop": ["a"] * 17}, "stop"),
    (
        {"prompt": "a", "tools": [{"type": "function", "function": {}}]},
        "tools[0].function.name",
    ),
    ({"prompt": "a", "response_format": {"type": "xml"}}, "response_format.type"),
    ({"prompt": "a", "stream": "yes"}, "stream"),
    ({"prompt": "a", "callback": "https://example.com"}, "callback"),
    ({"prompt": "a", "guided_choice": ["a"]}, "guided_choice"),
    ({"prompt": "a", "x" * 100: 1}, "x" * 64),
    ({"prompt": "a", "model": ""}, "model"),
    ({"prompt": "a", "model": "a\x00"}, "model"),
    ({"prompt": "a", "task_type": "a\x00"}, "task_type"),
    ({"prompt": "a", "metadata": {"a": 1}}, "metadata.a"),
    ({"prompt": "a", "metadata": {"a": "\x00"}}, "metadata.a"),
    ({"prompt": "a", "metadata": {"a" * 65: "b"}}, "metadata." + "a" * 64),
    ({"prompt": "a", "metadata": {"a": "b" * 513}}, "metadata.a"),
    ({"prompt": "a", "metadata": {str(i): "b" for i in range(17)}}, "metadata"),
    ({"prompt": "a", "priority": "urgent"}, "priority"),
    ({"prompt": "a", "deadline": "tomorrow"}, "deadline"),
    ({"prompt": "a", "deadline": "2030-01-01T00:00:00"}, "deadline"),
    ({"prompt": "a", "deadline": 1e300}, "deadline"),
    ({"prompt": "a", "deadline": 999_999}, "deadline"),
    ({"prompt": "a", "expires_in": 0}, "expires_in"),
    ({"prompt": "a", "expires_in": 5, "deadline": 2_000_000}, "expires_in"),
    ({"prompt": "a", "logit_bias": {"1": 101}}, "logit_bias.1"),
]


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def refused(
    stage: Stage, body: bytes | Sequence[bytes], status: int = 400, url: str = "/jobs"
) -> dict[str, str]:
    reply = await stage.request("POST", url, body=body)
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-should-retry"] == "false"
    assert reply.headers["x-request-id"]
    assert stage.recorder.facts == [RequestRefused(reply.error["code"], status)]
    assert await stage.empty()
    return reply.error


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"nonsense", "invalid_json"),
        (b'{"prompt": "a"} x', "invalid_json"),
        (b'{"prompt": NaN}', "invalid_json"),
        (b'{"prompt": "\xff"}', "invalid_json"),
        (b'{"prompt": "a", "user": "\xed\xa0\x80"}', "invalid_json"),
        (b'{"prompt": "\\ud800"}', "invalid_json"),
        (b'{"prompt": "a\x00"}', "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b'{"prompt": "unfinished', "invalid_json"),
        (b'{"prompt": "a", "tools": [}', "invalid_json"),
        (b'{"prompt": "a", "audio": ' + b"[" * DEEP + b"]" * DEEP + b"}", "too_deeply_nested"),
        (b"[" * 500_000, "too_many_values"),
        (b'{"a":' * 100_000, "too_many_values"),
        (b"[" * 20_000, "too_deeply_nested"),
        (b'{"prompt": "a", "audio": {"x": [' + b"{}," * 340_000 + b"{}]}}", "too_many_values"),
        (b'{"prompt": "a", "prompt": "b"}', "duplicate_key"),
        (b'{"messages": [{"role": "user", "content": "a", "content": "b"}]}', "duplicate_key"),
        (b'{"prompt": "a", "pr\\u006fmpt": "b"}', "duplicate_key"),
    ],
)
async def test_what_is_not_good_json_is_refused(stage: Stage, body: bytes, code: str) -> None:
    assert (await refused(stage, body))["code"] == code


@pytest.mark.parametrize(("fields", "param"), BAD_FIELDS)
async def test_a_bad_field_is_named(stage: Stage, fields: dict[str, object], param: str) -> None:
    error = await refused(stage, msgspec.json.encode(fields))

    assert error["param"] == param


async def test_the_body_must_be_an_object(stage: Stage) -> None:
    assert (await refused(stage, b"[]"))["param"] is None


async def test_a_number_out_of_range_is_found_where_nobody_types(stage: Stage) -> None:
    body = b'{"prompt": "a", "audio": {"x": 1e400}}'

    assert (await refused(stage, body))["code"] == "invalid_value"


async def test_brackets_within_strings_do_not_count(stage: Stage) -> None:
    prompt = "[" * 1000 + '"\\' + "{" * 1000 + ":"
    reply = await stage.post("/jobs", {"prompt": prompt, "stop": "\\"})

    assert reply.status == 202


async def test_wide_is_not_deep() -> None:
    stage = Stage(settings=GatewaySettings(max_prompt_chars=100_000))
    audio: dict[str, object] = {"x": [[[{}]]] * 500, "y": [{"z": [1]}] * 500}
    reply = await stage.post("/jobs", {"prompt": "a", "audio": audio})

    assert reply.status == 202


async def test_a_model_that_nobody_serves_is_not_found(stage: Stage) -> None:
    error = await refused(stage, b'{"prompt": "a", "model": "gpt-5"}', 404)

    assert error["code"] == "model_not_found"
    assert error["param"] == "model"


async def test_a_long_prompt_is_refused(stage: Stage) -> None:
    half = [{"role": "user", "content": "a" * 4_000}] * 2
    ok = await stage.post("/jobs", {"messages": half})
    assert ok.status == 202

    fresh = Stage()
    more = [*half, {"role": "user", "content": [{"type": "text", "text": "b"}]}]
    error = await refused(fresh, msgspec.json.encode({"messages": more}))
    assert error["code"] == "prompt_too_long"


LONG = "a" * 8_000
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": LONG}}
PARAMETERS: dict[str, object] = {"type": "object", "properties": {LONG: {}}}


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "description": LONG}}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": PARAMETERS}}]},
        {"functions": [{"name": "f", "description": LONG}]},
        {"messages": [{"role": "user", "content": "a", "name": LONG}]},
        {"messages": [{"role": "assistant", "content": "a", "tool_calls": [CALL]}]},
        {"messages": [{"role": "user", "content": [{"type": "refusal", "refusal": LONG + "a"}]}]},
    ],
)
async def test_what_the_engine_reads_is_not_longer_elsewhere(
    stage: Stage, fields: dict[str, object]
) -> None:
    chat = {"messages": [{"role": "user", "content": "a"}], **fields}

    error = await refused(stage, msgspec.json.encode(chat))
    assert error["code"] == "prompt_too_long"


async def test_a_body_is_not_read_beyond_its_limit() -> None:
    stage = Stage(settings=GatewaySettings(max_body_bytes=100))
    for body in (b"x" * 101, [b"x" * 101], [b"x" * 60, b"x" * 60, b"x" * 10**6]):
        stage.recorder.facts.clear()
        error = await refused(stage, body, 413)
        assert error["code"] == "body_too_large"
        assert "(gateway.max_body_bytes)" in error["message"]


async def test_a_body_that_is_announced_too_large_is_not_read() -> None:
    stage = Stage(settings=GatewaySettings(max_body_bytes=100))
    reply = await stage.request("POST", "/jobs", body=b"", headers={"content-length": "1" * 30})

    assert reply.status == 413


async def test_a_body_without_a_length_may_come_in_pieces(stage: Stage) -> None:
    reply = await stage.request("POST", "/jobs", body=[b'{"pro', b"", b'mpt":', b'"a"}'])

    assert reply.status == 202


@pytest.mark.parametrize("chunks", [[b'{"prompt":'], []])
def test_a_body_that_never_ends_or_never_begins_is_given_up(chunks: list[bytes]) -> None:
    async def experiment() -> None:
        stage = Stage(clock=LoopClock())
        waiting = iter(chunks)

        async def receive() -> Message:
            for chunk in waiting:
                return {"type": "http.request", "body": chunk, "more_body": True}
            return await asyncio.Event().wait()  # pyright: ignore[reportReturnType]

        reply = await stage.request("POST", "/jobs", body=[b"{", b""], receive=receive)
        assert reply.status == 408
        assert reply.headers["connection"] == "close"

    run_virtually(experiment())


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_only_json_is_taken(stage: Stage, media_type: str) -> None:
    reply = await stage.request(
        "POST", "/jobs", body=b'{"prompt": "a"}', headers={"content-type": media_type}
    )

    assert reply.status == 415
    assert reply.error["code"] == "unsupported_media_type"
    assert await stage.empty()


async def test_json_may_name_its_charset(stage: Stage) -> None:
    reply = await stage.post("/jobs", {"prompt": "a"}, content_type="Application/JSON; charset=x")

    assert reply.status == 202


@pytest.mark.parametrize("key", ["", "a b", "k" * 256, "schlüssel"])
async def test_an_idempotency_key_is_short_and_visible(stage: Stage, key: str) -> None:
    reply = await stage.post("/jobs", {"prompt": "a"}, idempotency_key=key)

    assert reply.status == 400
    assert reply.error["param"] == "Idempotency-Key"
    assert await stage.empty()


@pytest.mark.parametrize("name", ["Idempotency-Key", "Authorization", "Host"])
async def test_a_header_that_came_twice_is_refused(stage: Stage, name: str) -> None:
    # Two spellings are two keys here, and one name on the wire.
    reply = await stage.request(
        "POST", "/jobs", body=b'{"prompt": "a"}', headers={name: "a", name.lower(): "b"}
    )

    assert reply.status == 400
    assert reply.error["param"] == name.lower()
    assert await stage.empty()


async def test_an_unknown_path_has_the_envelope_too(stage: Stage) -> None:
    for url in ("/", "/jobs/", "/nothing/here", "/v1"):
        reply = await stage.get(url)
        assert reply.status == 404
        assert reply.error["code"] == "unknown_url"


async def test_a_wrong_method_is_told_the_right_ones(stage: Stage) -> None:
    reply = await stage.request("DELETE", "/jobs")

    assert reply.status == 405
    assert reply.headers["allow"] == "GET, POST"
    assert reply.error["code"] == "method_not_allowed"


@pytest.mark.parametrize("query", ["a=%ff", "&".join("a=1" for _ in range(50)), "%ff=1"])
async def test_a_malformed_query_is_refused(stage: Stage, query: str) -> None:
    assert (await stage.get(f"/jobs?{query}")).status == 400


class _Broken(Delivery):
    """Fails at submit; nobody calls the rest."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    @override
    async def submit(self, new: NewJob) -> Added | Existing:
        raise self._error

    claim = renew = settle = reissue = redrive = None  # pyright: ignore[reportAssignmentType]


async def test_a_bug_is_a_500_that_tells_nothing(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.parts.submission._delivery = _Broken(RuntimeError("secret"))
    reply = await stage.post("/jobs", {"prompt": "a"})

    assert reply.status == 500
    assert reply.error["type"] == "server_error"
    assert b"secret" not in reply.body
    assert reply.headers["x-request-id"] in caplog.text


async def test_a_store_that_is_away_is_a_503(stage: Stage) -> None:
    stage.parts.submission._delivery = _Broken(
        Unavailable("away", code="store_unavailable", retry_after_s=1.2)
    )
    reply = await stage.post("/jobs", {"prompt": "a"})

    assert reply.status == 503
    assert reply.headers["retry-after"] == "2"
    assert reply.error["code"] == "store_unavailable"


async def test_where_a_store_is_stands_in_the_log_and_in_no_answer(stage: Stage) -> None:
    failures = [
        Unavailable("Away.", why="no way to 10.0.0.7", code="store_unavailable") for _ in range(2)
    ]
    for error in failures:
        stage.parts.submission._delivery = _Broken(error)
        reply = await stage.post("/jobs", {"prompt": "a"})
        assert (reply.status, reply.error["message"]) == (503, "Away.")
        assert b"10.0.0.7" not in reply.body
    told = [fact for fact in stage.recorder.facts if isinstance(fact, DutyFailed)]
    words = "store_unavailable: Away: no way to 10.0.0.7."
    assert [(fact.duty, fact.error, fact.news) for fact in told] == [
        ("requests", words, True),
        ("requests", words, False),
    ]


WORDS = st.sampled_from([field.name for field in msgspec.structs.fields(JobRequest)])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "type", "text", "x"]), inner, max_size=3
        )
    ),
    max_leaves=10,
)
BODIES = st.binary(max_size=200) | st.dictionaries(WORDS, VALUES, max_size=5).map(
    lambda value: json.dumps(value).encode()
)


@pytest.mark.no_cover
@given(
    url=st.sampled_from(["/jobs", "/v1/chat/completions", "/v1/responses"]),
    body=BODIES,
    policy=st.sampled_from(["refuse", "pass"]),
)
@settings(max_examples=100, deadline=None)
def test_no_body_is_a_server_error_or_leaves_half_a_job(
    url: str, body: bytes, policy: Literal["refuse", "pass"]
) -> None:
    async def experiment() -> None:
        stage = Stage(settings=GatewaySettings(max_wait_s=0.001, unknown_parameters=policy))
        reply = await stage.request("POST", url, body=body)
        # 504 says that nobody works here; the job is stored and queued.
        assert reply.status in {202, 504} or 400 <= reply.status < 500
        assert await stage.empty() == (reply.status not in {202, 504})

    asyncio.run(experiment())
