import json

import msgspec
import pytest

from headpond.adapters.openai.wire import (
    MAX_MESSAGE_CHARS,
    read_models,
    read_response,
    retry_after_s,
    with_model,
)
from headpond.domain.job import Usage
from headpond.domain.outcome import Answered, Broke, Misconfigured, NotNow, Refused

COMPLETION = b'{"choices":[{"message":{"content":"Yes"}}],"usage":{"prompt_tokens":7}}'


def test_the_model_is_added_and_every_other_byte_stays():
    request = b'{ "temperature": 1e0, "messages": [], "emoji": "\\u00e9\xf0\x9f\x98\x80" }'
    body = with_model(request, "m")
    assert body == b'{"model":"m",' + request[1:].lstrip()
    assert json.loads(body)["model"] == "m"


@pytest.mark.parametrize("request_body", [b"{}", b" { } ", b"\n{\n}\n"])
def test_the_model_can_stand_alone(request_body: bytes):
    assert json.loads(with_model(request_body, "m")) == {"model": "m"}


def test_a_model_name_cannot_break_out_of_its_string():
    name = 'a","messages":"'
    assert json.loads(with_model(b'{"n":1}', name)) == {"model": name, "n": 1}


def test_an_answer_comes_back_byte_for_byte_with_its_counts():
    body = (
        b'{"id":"1","choices":[{"index":0,"logprobs":{"content":[{"token":"Yes","logprob":-0.5,'
        b'"bytes":[89],"top_logprobs":[]}]}}],"usage":{"prompt_tokens":7,"completion_tokens":1}, '
        b'"timings":{"x":1.50}}'
    )
    outcome = read_response(200, {}, body)
    assert isinstance(outcome, Answered)
    assert outcome.response == body
    assert outcome.usage == Usage(7, 1)
    assert outcome.confidence == pytest.approx(0.6065, abs=1e-4)


@pytest.mark.parametrize("logprobs", [b"null", b"{}", b'{"content":null}', b'{"content":[]}'])
def test_without_log_probabilities_there_is_no_confidence(logprobs: bytes):
    body = b'{"choices":[{"logprobs":%b}]}' % logprobs
    assert read_response(200, {}, body) == Answered(response=body, usage=Usage())


def test_counts_that_an_engine_leaves_out_are_zero():
    outcome = read_response(200, {}, COMPLETION)
    assert isinstance(outcome, Answered)
    assert outcome.usage == Usage(7, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"[]",
        b"{}",
        b'{"choices":[]}',
        b'{"choices":null}',
        b'{"choices":[{"message":"cut of',
        b'{"choices":[{"x":"\xff"}]}',
        b'{"choices":[{"x":' + b"[" * 100_000,
        b'{"error":{"message":"no"}}',
    ],
)
def test_a_body_that_is_no_completion_is_the_engines_failure(body: bytes):
    outcome = read_response(200, {}, body)
    assert isinstance(outcome, Broke)
    assert outcome.code == "engine_garbage"


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (
            b'{"error":{"message":"Too long.","type":"x","code":"context_length_exceeded"}}',
            Refused("Too long.", "context_length_exceeded"),
        ),
        (
            b'{"error":{"code":400,"message":"\'messages\' must be an array","type":"x"}}',
            Refused("'messages' must be an array"),
        ),
        (b'{"object":"error","message":"Flat.","code":400}', Refused("Flat.")),
        (
            b'{"error":"request (9 tokens) exceeds the available context size (8 tokens)"}',
            Refused(
                "request (9 tokens) exceeds the available context size (8 tokens) "
                "(engine.context_tokens, if the engine is the embedded one)"
            ),
        ),
        (b'{"error":"As a string."}', Refused("As a string.")),
        (
            b'{"detail":[{"loc":["body"],"msg":"missing"}]}',
            Refused('[{"loc":["body"],"msg":"missing"}]'),
        ),
        (b"Plain text.\n", Refused("Plain text.")),
        (b"<html>x</html>", Refused("The engine answered HTTP 400 without saying why.")),
        (b"", Refused("The engine answered HTTP 400 without saying why.")),
        (b'{"error":{}}', Refused("The engine answered HTTP 400 without saying why.")),
    ],
)
def test_a_refusal_speaks_the_engines_own_words(body: bytes, refusal: Refused):
    assert read_response(400, {}, body) == refusal


@pytest.mark.parametrize("kind", ["image", "audio", "video"])
def test_an_input_that_llama_cpp_cannot_take_is_refused_though_it_says_500(kind: str):
    message = (
        f"{kind} input is not supported - hint: if this is unexpected, you may need to provide "
        "the mmproj"
    )
    body = json.dumps({"error": {"code": 500, "message": message, "type": "server_error"}})
    assert read_response(500, {}, body.encode()) == Refused(message)
    assert isinstance(read_response(500, {}, b"image input is not supported"), Broke)


def test_a_message_has_a_bound():
    outcome = read_response(400, {}, b"x" * 1_000_000)
    assert isinstance(outcome, Refused)
    assert len(outcome.message) == MAX_MESSAGE_CHARS


@pytest.mark.parametrize("status", [400, 413, 415, 422, 431])
def test_a_client_error_refuses_the_request(status: int):
    assert isinstance(read_response(status, {}, b"no"), Refused)


@pytest.mark.parametrize("status", [425, 429, 502, 503])
def test_an_engine_without_room_is_nobodys_fault(status: int):
    outcome = read_response(status, {"Retry-After": "7"}, b'{"error":{"message":"full"}}')
    assert outcome == NotNow(f"HTTP {status}: full", 7.0)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (408, "engine_timeout"),
        (504, "engine_timeout"),
        (500, "engine_error"),
        (501, "engine_error"),
        (302, "engine_error"),
    ],
)
def test_what_is_not_the_requests_fault_does_not_refuse_it(status: int, code: str):
    outcome = read_response(status, {}, b"")
    assert isinstance(outcome, Broke)
    assert outcome.code == code


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405])
def test_what_every_request_would_meet_is_the_operators_fault(status: int):
    outcome = read_response(status, {}, b'{"error":{"message":"no such model"}}')
    assert outcome == Misconfigured(f"HTTP {status}: no such model")


NOW = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": ""}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-1"}, None),
        ({"Retry-After": "²"}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": "12"}, 12.0),
        ({"Retry-After": "9" * 400}, 300.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": NOW}, 30.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:27:00 GMT", "Date": NOW}, 0.0),
        ({"Retry-After": "Thu, 22 Oct 2026 07:28:00 GMT", "Date": NOW}, 300.0),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"Retry-After": "Wed, 21 Oct 2026 07:28:30 -0000", "Date": NOW}, None),
    ],
)
def test_the_engine_may_say_when_to_come_back(headers: dict[str, str], seconds: float | None):
    assert retry_after_s(headers) == seconds


def test_models_are_listed_by_id():
    assert read_models(b'{"data":[{"id":"a","object":"model"},{"id":"b"}]}') == ["a", "b"]
    assert read_models(b"<html>") == []


@pytest.mark.parametrize(
    ("reason", "cut_short"),
    [("stop", False), ("length", True), ("content_filter", True), (None, False), (7, False)],
)
def test_an_answer_that_a_limit_ended_was_cut_short(reason: object, cut_short: bool) -> None:
    choice = {"message": {"content": "and then"}, "finish_reason": reason}
    outcome = read_response(200, {}, msgspec.json.encode({"choices": [choice]}))
    assert isinstance(outcome, Answered)
    assert outcome.cut_short is cut_short
