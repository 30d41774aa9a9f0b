"""An error says what would be right, and which of many values is wrong."""

import json
from typing import Any

import msgspec
import pytest

from headpond.errors import InvalidRequest
from headpond.gateway.batch_schema import BatchRequest
from headpond.gateway.body import BodyReader
from headpond.gateway.faults import MOST_KEYS
from headpond.gateway.job_schema import JobRequest
from headpond.settings import GatewaySettings


def refused(**body: Any) -> InvalidRequest:
    reader = BodyReader(GatewaySettings())
    with pytest.raises(InvalidRequest) as raised:
        reader.decode(json.dumps(body).encode(), msgspec.json.Decoder(JobRequest))
    return raised.value


@pytest.mark.parametrize(
    ("body", "param", "allowed"),
    [
        ({"priority": "urgent"}, "priority", "interactive, batch"),
        ({"messages": [{"role": "user"}, {"role": "boss"}]}, "messages[1].role", "assistant, de"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "json_object, json_s"),
    ],
)
def test_an_error_lists_the_values_that_there_are(
    body: dict[str, Any], param: str, allowed: str
) -> None:
    error = refused(prompt="a", **body)
    assert error.param == param
    assert f"it is one of {allowed}" in error.message


def test_an_error_says_what_a_pattern_means() -> None:
    reader, body = BodyReader(GatewaySettings()), b'{"completion_window": "soon"}'
    with pytest.raises(InvalidRequest) as raised:
        reader.decode(body, msgspec.json.Decoder(BatchRequest))
    expected = "completion_window: a whole number and s, m, h or d, such as 24h."
    assert raised.value.message == expected
    assert "matching regex" in refused(prompt="a", model="\0").message


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"metadata": {"a": "b", "c": 3}}, "metadata.c"),
        ({"metadata": {"a": "b", "c": "x" * 513}}, "metadata.c"),
        ({"metadata": {"a": "b", "k" * 65: "x"}}, "metadata." + "k" * 64),
        ({"logit_bias": {"1": 5, "2": 500}}, "logit_bias.2"),
        ({"logit_bias": dict.fromkeys(map(str, range(MOST_KEYS + 1)), 500)}, "logit_bias[...]"),
        ({"tools": [{"type": "function", "function": {"name": 3}}]}, "tools[0].function.name"),
    ],
)
def test_an_error_names_the_key_at_fault(body: dict[str, Any], param: str) -> None:
    error = refused(prompt="a", **body)
    assert error.param == param
    assert error.message.startswith(param)


def test_a_body_with_another_fault_further_on_is_refused_for_the_first() -> None:
    reader = BodyReader(GatewaySettings())
    body = b'{"prompt": "a", "metadata": {"a": 3}, "audio": {"x": 1e999}}'
    with pytest.raises(InvalidRequest) as raised:
        reader.decode(body, msgspec.json.Decoder(JobRequest))
    assert raised.value.param == "metadata[...]"


def test_a_map_with_too_many_keys_is_at_fault_as_a_whole() -> None:
    error = refused(prompt="a", metadata={str(number): "x" for number in range(17)})
    assert error.param == "metadata"
