"""Requests that ask the same have one fingerprint, those that do not have two or none. SPEC C1."""

import json
from typing import Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpond.demo.titles import Title, job_for
from headpond.domain.fingerprint import Fingerprint, fingerprint
from headpond.gateway.intake import engine_request
from headpond.gateway.jobs import FOR_HEADPOND
from headpond.testing.records import a_job

Fields: TypeAlias = dict[str, Any]

PROMPT: Fields = {"role": "user", "content": "hello"}
PLAIN: Fields = {"messages": [PROMPT], "temperature": 0}
TOOL: Fields = {"type": "function", "function": {"name": "f", "parameters": {"a": 1}}}
JOB = a_job()


def of_text(text: str | bytes) -> Fingerprint | None:
    body = text.encode() if isinstance(text, str) else text
    return fingerprint(JOB, body, model_version=None)


def of(request: Fields) -> Fingerprint | None:
    return of_text(json.dumps(request))


def shuffled(pairs: Fields) -> st.SearchStrategy[Fields]:
    return st.permutations([*pairs.items()]).map(dict)


@pytest.mark.parametrize(
    "text",
    [
        '{ "temperature" : 0, "messages": [{"content": "hello", "role": "user"}] }',
        '{"messages":[{"role":"user","content":"h\\u0065llo"}],"temperature":0.0}',
        '{"messages":[{"role":"user","content":"hello"}],"temperature":-0.0,"seed":null}',
        '{"messages":[{"role":"user","content":"hello"}],"temperature":0e1,"n":1,"logprobs":false}',
        '{"temperature":1,"messages":[{"role":"user","content":"hello"}],"temperature":0,"n":1.0}',
    ],
)
def test_the_way_of_writing_does_not_count(text: str) -> None:
    assert of_text(text) == of(PLAIN) is not None


@pytest.mark.parametrize(
    "field",
    [
        {"user": "me"},
        {"metadata": {"a": "b"}},
        {"store": True},
        {"stream": True, "stream_options": {"include_usage": True}},
        {"service_tier": "flex"},
        {"safety_identifier": "x", "prompt_cache_key": "y", "prompt_cache_retention": "24h"},
        {"top_p": None, "tools": None},
    ],
)
def test_what_changes_no_answer_does_not_count(field: Fields) -> None:
    assert of(PLAIN | field) == of(PLAIN)


@pytest.mark.parametrize(
    "field",
    [
        {"messages": [PROMPT | {"content": "hello "}]},
        {"messages": [PROMPT | {"role": "system"}]},
        {"messages": [PROMPT, PROMPT]},
        {"messages": [PROMPT | {"content": [{"type": "text", "text": "hello"}]}]},
        {"temperature": 0.5, "seed": 7},
        {"seed": 7},
        {"seed": -1},
        {"temperature": None, "seed": 0},
        {"max_tokens": 12},
        {"max_completion_tokens": 12},
        {"logprobs": True},
        {"top_p": 1},
        {"frequency_penalty": 0},
        {"stop": ["x"]},
        {"tools": [TOOL]},
        {"best_of": 1},
    ],
)
def test_what_may_change_the_answer_counts(field: Fields) -> None:
    assert of(PLAIN | field) not in {of(PLAIN), None}


def test_teams_pools_models_and_their_versions_share_nothing() -> None:
    body = json.dumps(PLAIN).encode()
    jobs = [a_job(), a_job(team="other"), a_job(pool="other"), a_job(model="other")]
    names = {fingerprint(job, body, model_version=None) for job in jobs}
    names |= {fingerprint(JOB, body, model_version=version) for version in ("", "1", "2")}
    assert len(names) == 7
    same = a_job(feature="f", priority=JOB.priority, metadata={"a": "b"}, stream=True)
    assert fingerprint(same, body, model_version=None) == of(PLAIN)


NO_ONE_ANSWER: list[Fields] = [
    {"temperature": None},
    {"temperature": 0.7},
    {"n": 2},
    {"seed": 7, "n": 2},
    {"temperature": None, "seed": -1},
    {"temperature": 0.7, "seed": 2**32 - 1},
    {"temperature": 0.7, "seed": "7"},
    {"tools": {}},
    {"tools": ["web_search"]},
    {"tools": [TOOL, {"type": "web_search"}]},
    {"tools": [{"type": "mcp", "server_url": "x"}]},
    {"plugins": [{"id": "web"}]},
    {"search_parameters": {"mode": "auto"}},
    {"web_search_options": {}},
    {"audio": {"voice": "alloy"}},
    {"messages": None},
    {"messages": "hello"},
    {"messages": ["hello"]},
    {"messages": [PROMPT | {"content": 7}]},
    {"messages": [PROMPT | {"content": ["hello"]}]},
    {"messages": [PROMPT | {"content": [{"text": "hello"}]}]},
    {"messages": [PROMPT | {"content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
    {"messages": [PROMPT, {"role": "user", "content": [{"type": "file", "file": {}}]}]},
]


@pytest.mark.parametrize("fields", NO_ONE_ANSWER)
def test_what_has_no_one_answer_is_not_remembered(fields: Fields) -> None:
    assert of(PLAIN | fields) is None


@pytest.mark.parametrize(
    "request_", [b"", b"[]", b"{", b'{"a":"\xff"}', b'{"a":' + 5_000 * b"[" + 5_000 * b"]" + b"}"]
)
def test_what_cannot_be_read_is_not_remembered(request_: bytes) -> None:
    assert of_text(request_) is None


def test_a_message_may_say_nothing_but_calls() -> None:
    call = {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}
    without = {name: value for name, value in call.items() if name != "content"}
    names = {of(PLAIN | {"messages": [PROMPT, message]}) for message in (call, without)}
    assert None not in names
    assert len(names) == 2


def test_the_order_within_tools_and_schemas_counts() -> None:
    one: Fields = {"type": "object", "properties": {"why": {}, "answer": {}}}
    other: Fields = {"type": "object", "properties": {"answer": {}, "why": {}}}
    names = [
        of(PLAIN | {"response_format": {"type": "json_schema", "json_schema": schema}})
        for schema in (one, other)
    ]
    assert names[0] != names[1]


def test_the_order_within_the_arguments_of_a_call_counts() -> None:
    orders: list[Fields] = [{"a": 1, "b": 2}, {"b": 2, "a": 1}]
    calls: list[Fields] = [{"id": "1", "function": {"arguments": order}} for order in orders]
    said: list[Fields] = [{"role": "assistant", "tool_calls": [call]} for call in calls]
    assert of(PLAIN | {"messages": [said[0]]}) != of(PLAIN | {"messages": [said[1]]})


@given(
    st.data(),
    st.text(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
)
def test_no_order_of_parameters_counts(
    data: st.DataObject, text: str, number: float, seed: int
) -> None:
    message = PROMPT | {"content": text}
    whole = PLAIN | {"messages": [message], "top_p": number, "seed": seed}
    other = data.draw(shuffled(whole | {"messages": [data.draw(shuffled(message))]}))
    compact = json.dumps(other, ensure_ascii=False, separators=(",", ":"))
    assert of_text(compact) == of(whole) is not None


def test_the_requests_of_the_demo_are_remembered() -> None:
    body = json.dumps(job_for(Title("a lamp", "lamps"))).encode()
    assert of_text(engine_request(body, FOR_HEADPOND)) is not None
