"""The responses API: a job under another name."""

import asyncio
from typing import Any, get_type_hints

import msgspec
import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from openai.types.shared_params.reasoning import Reasoning as OfficialReasoning

from headpond.domain.outcome import Broke, Outcome, Refused
from headpond.gateway.response_schema import UNSUPPORTED, Reasoning, ResponseRequest
from headpond.settings import GatewaySettings
from tests.stages import Reply, Stage, answered

URL = "/v1/responses"
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def create(stage: Stage, **fields: object) -> Reply:
    return await stage.post(URL, {"model": "model", "input": "hello", **fields})


async def in_background(stage: Stage, outcome: Outcome | None = None, **fields: object) -> Any:
    """Create, run to the outcome, retrieve."""
    created = await create(stage, background=True, **fields)
    assert created.status == 200, created.body
    await stage.work(outcome)
    return (await stage.get(f"{URL}/{created.json['id']}")).json


async def asked(stage: Stage, **fields: object) -> Any:
    """The chat request that the engine gets."""
    created = await create(stage, background=True, **fields)
    assert created.status == 200, created.body
    return msgspec.json.decode((await stage.claim()).request)


async def test_a_background_response_is_queued_at_once(stage: Stage) -> None:  # SPEC G2
    created = (await create(stage, background=True, metadata={"a": "b"})).json

    assert created["object"] == "response"
    assert created["status"] == "queued"
    assert created["background"] is True
    assert created["metadata"] == {"a": "b"}
    assert created["output"] == []
    assert (await stage.depths())[1].ready == 1


async def test_a_response_may_have_a_deadline(stage: Stage) -> None:
    until = stage.clock.now() + 60
    created = await create(stage, background=True, deadline=until, best_effort=True)
    assert created.status == 200
    claim = await stage.claim()
    assert claim.job.deadline == until
    assert msgspec.json.decode(claim.request).keys() == {"messages"}


async def test_a_response_is_a_job_under_another_name(stage: Stage) -> None:
    created = (await create(stage, background=True)).json

    job = (await stage.get("/jobs/job_" + created["id"].removeprefix("resp_"))).json
    assert job["status"] == "queued"
    assert (await stage.get(f"{URL}/{job['job_id']}")).status == 200


async def test_without_background_the_answer_is_waited_for(stage: Stage) -> None:
    creating = asyncio.create_task(create(stage))
    claim = await stage.work()
    response = (await creating).json

    assert claim.job.priority == "interactive"
    assert response["status"] == "completed"
    assert response["background"] is False
    assert response["output"][0]["content"] == [
        {"type": "output_text", "text": "hi", "annotations": []}
    ]
    assert response["usage"]["total_tokens"] == 5
    assert response["completed_at"] == stage.clock.now()


async def test_a_response_not_done_in_time_can_be_fetched() -> None:
    stage = Stage(settings=GatewaySettings(max_wait_s=0.001))
    reply = await create(stage)

    assert reply.status == 504
    number = reply.error["job_id"].removeprefix("job_")
    assert (await stage.get(f"{URL}/resp_{number}")).json["status"] == "queued"


async def test_a_running_response_is_in_progress_and_can_be_cancelled(stage: Stage) -> None:
    created = (await create(stage, background=True)).json
    await stage.claim()

    running = (await stage.get(f"{URL}/{created['id']}")).json
    cancelled = (await stage.post(f"{URL}/{created['id']}/cancel")).json

    assert running["status"] == "in_progress"
    assert cancelled["status"] == "cancelled"
    assert cancelled["error"] is None


@pytest.mark.parametrize(
    ("outcome", "code"), [(Refused("no"), "invalid_prompt"), (Broke("boom"), "server_error")]
)
async def test_a_failed_response_says_why(stage: Stage, outcome: Outcome, code: str) -> None:
    created = (await create(stage, background=True)).json
    for _ in range(3):
        stage.manual.advance(60)
        shown = (await stage.get(f"{URL}/{created['id']}")).json
        if shown["status"] != "failed":
            await stage.work(outcome)
    shown = (await stage.get(f"{URL}/{created['id']}")).json

    assert shown["status"] == "failed"
    assert shown["error"]["code"] == code
    assert shown["output"] == []


@pytest.mark.parametrize(
    ("finish_reason", "reason"),
    [("length", "max_output_tokens"), ("content_filter", "content_filter")],
)
async def test_a_cut_answer_is_incomplete(stage: Stage, finish_reason: str, reason: str) -> None:
    response = await in_background(stage, answered("ha", finish_reason=finish_reason))

    assert response["status"] == "incomplete"
    assert response["incomplete_details"] == {"reason": reason}
    assert response["output"][0]["status"] == "incomplete"


async def test_instructions_and_items_become_messages(stage: Stage) -> None:
    items: list[dict[str, object]] = [
        {"type": "message", "role": "developer", "content": "In German."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "b", "annotations": [{}]}],
        },
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "42"},
        {"role": "user", "content": "easy"},
    ]
    request = await asked(stage, instructions="Be brief.", input=items)

    assert request["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "system", "content": "In German."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "c", "content": "42"},
        {"role": "user", "content": "easy"},
    ]


async def test_calls_of_one_turn_stay_one_message(stage: Stage) -> None:
    calls = [
        {"type": "function_call", "call_id": name, "name": "f", "arguments": "{}"} for name in "ab"
    ]
    answers = [{"type": "function_call_output", "call_id": name, "output": "1"} for name in "ab"]
    request = await asked(stage, input=[*calls, *answers, *calls[:1]])

    turns = [[call["id"] for call in m.get("tool_calls", ())] for m in request["messages"]]
    assert turns == [["a", "b"], [], [], ["a"]]


async def test_an_earlier_answer_can_be_sent_back_whole(stage: Stage) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    output = (await in_background(stage, answered("hi", tool_calls=[call])))["output"]
    nulls = {"phase": None, "caller": None, "namespace": None}
    request = await asked(stage, input=[{**item, **nulls} for item in output])

    assert [message["role"] for message in request["messages"]] == ["assistant", "assistant"]


async def test_parameters_are_translated_there_and_back(stage: Stage) -> None:
    tool = {"type": "function", "name": "f", "parameters": SCHEMA, "strict": True}
    text = {
        "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
        "verbosity": "low",
    }
    fields: dict[str, object] = {
        "max_output_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.25,
        "tools": [tool],
        "tool_choice": {"type": "function", "name": "f"},
        "text": text,
        "reasoning": {"effort": "low"},
        "parallel_tool_calls": False,
    }
    request = await asked(stage, **fields)

    assert request.pop("messages")
    assert request == {
        "max_tokens": 9,
        "temperature": 0.5,
        "top_p": 0.25,
        "tools": [
            {"type": "function", "function": {"name": "f", "parameters": SCHEMA, "strict": True}}
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
        },
        "verbosity": "low",
        "reasoning_effort": "low",
        "parallel_tool_calls": False,
    }
    shown = await in_background(stage, None, **fields)
    assert shown["tools"] == [{**tool, "description": None}]
    assert shown["tool_choice"] == fields["tool_choice"]
    assert shown["text"] == text
    assert shown["max_output_tokens"] == 9
    assert shown["parallel_tool_calls"] is False


async def test_plain_choices_and_formats_are_translated_too(stage: Stage) -> None:
    shown = await in_background(
        stage, tool_choice="none", text={"format": {"type": "json_object"}, "verbosity": "high"}
    )

    assert shown["tool_choice"] == "none"
    assert shown["text"] == {"format": {"type": "json_object"}, "verbosity": "high"}


async def test_tool_calls_become_output(stage: Stage) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    response = await in_background(stage, answered(None, tool_calls=[call]))

    [output] = response["output"]
    assert output["type"] == "function_call"
    assert (output["call_id"], output["name"], output["arguments"]) == ("c", "f", '{"a": 1}')


async def test_tool_calls_that_make_no_sense_are_left_out(stage: Stage) -> None:
    response = await in_background(stage, answered("hi", tool_calls=[1]))

    assert [output["type"] for output in response["output"]] == ["message"]


async def test_an_answer_without_choices_is_an_empty_output(stage: Stage) -> None:
    answer = msgspec.structs.replace(answered(), response=b'{"choices": []}')

    assert (await in_background(stage, answer))["output"] == []


async def test_a_job_of_another_front_door_reads_as_a_response(stage: Stage) -> None:
    created = await stage.post(
        "/jobs",
        {
            "prompt": "a",
            "max_completion_tokens": 5,
            "tools": [{"type": "custom"}],
            "tool_choice": {"type": "allowed_tools"},
        },
    )
    number = created.json["job_id"].removeprefix("job_")
    shown = (await stage.get(f"{URL}/resp_{number}")).json

    assert shown["max_output_tokens"] == 5
    assert shown["tools"] == []
    assert shown["tool_choice"] == "auto"


async def test_a_stored_request_that_cannot_be_read_spoils_nothing(stage: Stage) -> None:
    created = (await create(stage, background=True)).json
    job_id = "job_" + created["id"].removeprefix("resp_")
    stage.jobs._bodies[job_id] = msgspec.structs.replace(  # pyright: ignore[reportArgumentType]
        stage.jobs._bodies[job_id],  # pyright: ignore[reportArgumentType]
        request=b'{"temperature": "hot"}',
    )

    assert (await stage.get(f"{URL}/{created['id']}")).json["temperature"] is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "c"}, "conversation"),
        ({"include": ["x"]}, "include"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"stream": "yes"}, "stream"),
        ({"store": False}, "store"),
        ({"truncation": "auto"}, "truncation"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": " "}, "input"),
        ({"input": [{"type": "reasoning"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, None),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"input": [{"role": "user", "content": "a", "name": "x"}, {"rol": 1}]}, "input[1].rol"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "a", "b": 1}]}]},
            "input[0].content[0].b",
        ),
        ({"tools": [{"type": "function", "name": "f", "defer_loading": True}]}, None),
        ({"max_output_tokens": 5_000}, "max_output_tokens"),
        ({"input": [{"role": "user"}]}, "input"),
        ({"input": [{"type": "function_call", "name": "f"}]}, "input"),
    ],
)
async def test_what_is_not_supported_is_refused_by_name(
    stage: Stage, fields: dict[str, object], param: str | None
) -> None:
    reply = await create(stage, **fields)

    assert reply.status == 400
    assert param is None or reply.error["param"] == param
    assert await stage.empty()


@pytest.mark.parametrize("param", sorted(UNSUPPORTED))
async def test_what_is_known_but_missing_is_not_called_unknown(stage: Stage, param: str) -> None:
    name, _, inner = param.partition(".")
    reply = await create(stage, **{name: {inner: "x"} if inner else "x"})
    assert (reply.status, reply.error["param"]) == (400, param)
    assert reply.error["code"] == "unsupported_parameter"


@pytest.mark.parametrize("fields", [{"wish": 1}, {"reasoning": {"include": 1}}])
async def test_what_nobody_knows_is_unknown(stage: Stage, fields: dict[str, object]) -> None:
    assert (await create(stage, **fields)).error["code"] == "unknown_parameter"


def test_every_parameter_of_the_official_client_is_known() -> None:
    official = get_type_hints(ResponseCreateParamsBase).keys() | {
        f"reasoning.{name}" for name in get_type_hints(OfficialReasoning)
    }
    ours = set(ResponseRequest.__struct_fields__) | {
        f"reasoning.{name}" for name in Reasoning.__struct_fields__
    }
    assert official - ours == UNSUPPORTED


@pytest.mark.parametrize("number", ["nope", "0" * 32])
async def test_a_response_that_is_not_there_is_named_as_it_was_asked_for(
    stage: Stage, number: str
) -> None:
    url = f"{URL}/resp_{number}"
    for method, path in (("GET", url), ("DELETE", url), ("POST", f"{url}/cancel")):
        reply = await stage.request(method, path)
        assert (reply.status, reply.error["code"]) == (404, "job_not_found")
        assert reply.error["message"] == f"There is no response 'resp_{number}'."


@pytest.mark.parametrize("query", ["stream=yes", "starting_after=3", "include=x"])
async def test_parameters_of_retrieve_are_refused_by_name(stage: Stage, query: str) -> None:
    created = (await create(stage, background=True)).json
    reply = await stage.get(f"{URL}/{created['id']}?{query}")

    assert reply.status == 400
    assert reply.error["param"] == query.partition("=")[0]
