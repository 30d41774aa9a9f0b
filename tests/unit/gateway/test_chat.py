"""Chat completions through the queue."""

import asyncio
import importlib
from typing import Any, get_type_hints

import msgspec
import pytest

from headpond.domain.lane import Priority
from headpond.domain.outcome import Broke, Outcome, Refused
from headpond.gateway.chat_schema import ChatRequest
from headpond.settings import GatewaySettings
from tests.stages import Stage, answered

URL = "/v1/chat/completions"
ASKED: dict[str, object] = {"model": "model", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def impatient() -> Stage:
    return Stage(settings=GatewaySettings(max_wait_s=0.001))


async def ask(stage: Stage, outcome: Outcome, **fields: object) -> Any:
    asking = asyncio.create_task(stage.post(URL, {**ASKED, **fields}))
    await stage.work(outcome)
    return await asking


async def test_the_engines_answer_comes_back_as_it_is(stage: Stage) -> None:
    answer = answered("four")
    reply = await ask(stage, answer, temperature=0)

    assert reply.status == 200
    assert reply.body == answer.response
    assert reply.headers["x-headpond-job-id"].startswith("job_")


async def test_chats_wait_in_the_interactive_lane(stage: Stage) -> None:
    asking = asyncio.create_task(stage.post(URL, ASKED))
    claim = await stage.work()
    await asking

    assert claim.job.priority is Priority.INTERACTIVE
    assert msgspec.json.decode(claim.request) == {"messages": ASKED["messages"]}


@pytest.mark.parametrize(
    ("tier", "priority"),
    [("flex", "batch"), ("priority", "interactive"), ("fast", "interactive"), ("auto", None)],
)
async def test_a_service_tier_chooses_the_lane(
    impatient: Stage, tier: str, priority: str | None
) -> None:
    await impatient.post(URL, {**ASKED, "service_tier": tier})

    assert (await impatient.claim()).job.priority == (priority or "interactive")


async def test_not_done_in_time_is_not_lost(impatient: Stage) -> None:
    reply = await impatient.post(URL, ASKED)
    job_id = reply.headers["x-headpond-job-id"]
    await impatient.work()

    assert reply.status == 504
    assert reply.headers["x-should-retry"] == "false"
    assert reply.error["code"] == "not_done_in_time"
    assert reply.error["job_id"] == job_id
    assert (await impatient.get(reply.error["poll_url"])).json["status"] == "succeeded"


async def test_a_client_may_wait_less(stage: Stage) -> None:
    reply = await stage.post(URL, ASKED, x_headpond_wait="0")

    assert reply.status == 504


@pytest.mark.parametrize("wait", ["-1", "soon", "nan", "", "é"])
async def test_a_bad_wait_makes_no_job(stage: Stage, wait: str) -> None:
    reply = await stage.post(URL, ASKED, x_headpond_wait=wait)

    assert reply.status == 400
    assert reply.error["param"] == "x-headpond-wait"
    assert await stage.empty()


async def test_a_refused_job_is_a_bad_request(stage: Stage) -> None:
    reply = await ask(stage, Refused("the context is too long", "context_length_exceeded"))

    assert reply.status == 400
    assert reply.error["code"] == "context_length_exceeded"
    assert reply.error["message"] == "the context is too long"
    assert reply.headers["x-should-retry"] == "false"


async def test_a_buried_job_is_not_to_be_sent_again(stage: Stage) -> None:
    asking = asyncio.create_task(stage.post(URL, ASKED))
    for _ in range(3):
        await stage.work(Broke("boom"))
        stage.manual.advance(60)
    reply = await asking

    assert reply.status == 502
    assert reply.error["type"] == "server_error"
    assert reply.headers["x-should-retry"] == "false"


async def test_a_cancelled_job_ends_the_wait(stage: Stage) -> None:
    asking = asyncio.create_task(stage.post(URL, ASKED))
    claim = await stage.claim()
    await stage.post(f"/jobs/{claim.job.id}/cancel")
    reply = await asking

    assert reply.status == 409
    assert reply.error["code"] == "cancelled"
    assert reply.headers["x-should-retry"] == "false"


async def test_an_expired_job_ends_the_wait(stage: Stage) -> None:
    asking = asyncio.create_task(stage.post(URL, ASKED))
    claim = await stage.claim()
    await stage.jobs.swap(claim.job.expired(stage.clock.now()))
    reply = await asking

    assert reply.status == 504
    assert reply.error["code"] == "deadline_exceeded"


async def test_a_result_that_is_gone_is_an_error(stage: Stage) -> None:
    asking = asyncio.create_task(stage.post(URL, ASKED))
    claim = await stage.claim()
    succeeded = answered()
    done = claim.job.succeeded(stage.clock.now(), engine="e", usage=succeeded.usage)
    await stage.jobs.swap(done)
    reply = await asking

    assert reply.status == 502


async def test_the_same_key_waits_for_the_same_job(stage: Stage) -> None:  # SPEC G7
    first = asyncio.create_task(stage.post(URL, ASKED, idempotency_key="k"))
    claim = await stage.claim()
    second = asyncio.create_task(stage.post(URL, ASKED, idempotency_key="k"))
    await stage.settle(claim, answered())

    assert (await first).body == (await second).body
    assert (await stage.depths())[0].ready == 0


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"model": None}, "model"),
        ({"messages": "hello"}, "messages"),
        ({"prompt": "hello"}, "prompt"),
        ({"guided_json": {}}, "guided_json"),
    ],
)
async def test_a_bad_chat_makes_no_job(stage: Stage, fields: dict[str, object], param: str) -> None:
    reply = await stage.post(URL, {**ASKED, **fields})

    assert reply.status == 400
    assert reply.error["param"] == param
    assert await stage.empty()


async def test_all_parameters_of_the_official_client_are_known() -> None:
    module = importlib.import_module("openai.types.chat.completion_create_params")
    official = get_type_hints(module.CompletionCreateParamsBase).keys()
    known = {field.name for field in msgspec.structs.fields(ChatRequest)}

    assert known == official | {"stream", "deadline", "expires_in", "best_effort"}


async def test_a_deadline_goes_with_a_chat_and_not_to_the_engine(stage: Stage) -> None:
    asking = asyncio.create_task(stage.post(URL, {**ASKED, "expires_in": 60, "best_effort": True}))
    claim = await stage.claim()
    assert claim.job.deadline == stage.clock.now() + 60
    assert msgspec.json.decode(claim.request).keys() == {"messages"}
    await stage.settle(claim, answered("four"))
    assert (await asking).status == 200

    past = await stage.post(URL, {**ASKED, "deadline": stage.clock.now() - 1})
    assert (past.status, past.error["code"]) == (400, "deadline_in_the_past")
    both = await stage.post(URL, {**ASKED, "deadline": 1, "expires_in": 1})
    assert (both.status, both.error["param"]) == (400, "expires_in")


async def test_extra_parameters_pass_where_the_settings_say_so() -> None:
    stage = Stage(settings=GatewaySettings(max_wait_s=0.001, unknown_parameters="pass"))
    await stage.post(URL, {**ASKED, "guided_json": {"type": "object"}, "priority": 3})

    request = msgspec.json.decode((await stage.claim()).request)
    assert request["guided_json"] == {"type": "object"}
    assert "priority" in request
