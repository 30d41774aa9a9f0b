"""Headpond's own job API."""

import asyncio

import msgspec
import pytest

from headpond.domain.facts import JobSubmitted, RequestRefused
from headpond.domain.identity import Limits
from headpond.domain.lane import Priority
from headpond.domain.outcome import Broke, Refused
from headpond.settings import GatewaySettings, LimitSettings
from tests.stages import Stage, answered
from tests.unit.domain.test_pace import a_report


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def submit(stage: Stage, **fields: object) -> str:
    reply = await stage.post("/jobs", {"prompt": "hello", **fields})
    assert reply.status == 202, reply.body
    return reply.json["job_id"]


async def test_a_job_is_accepted_with_the_place_to_look(stage: Stage) -> None:  # SPEC G1
    reply = await stage.post("/jobs", {"prompt": "hello", "model": "model"})

    assert reply.status == 202
    job_id = reply.json["job_id"]
    assert reply.json == {
        "job_id": job_id,
        "status": "queued",
        "poll_url": f"/jobs/{job_id}",
        "quote": {"position": 0, "eta": None, "price_usd": None},
    }
    assert reply.headers["x-headpond-job-id"] == job_id
    assert reply.headers["x-request-id"].startswith("req_")
    assert isinstance(stage.recorder.facts[0], JobSubmitted)


async def test_a_quote_tells_the_end_and_stays_with_the_job(stage: Stage) -> None:  # SPEC G8
    await stage.roster.report(a_report(at=stage.clock.now()))
    await stage.quotes.tick()
    reply = await stage.post("/jobs", {"prompt": "hello", "model": "model", "max_tokens": 99})

    eta = reply.json["quote"]["eta"]
    assert stage.clock.now() < eta["p50"] < eta["p90"]
    shown = await stage.get(reply.json["poll_url"])
    assert shown.json["quote"] == reply.json["quote"]


async def test_a_deadline_out_of_reach_is_refused_unless_the_best_will_do(stage: Stage) -> None:
    # SPEC G8
    await stage.roster.report(a_report(at=stage.clock.now()))
    await stage.quotes.tick()
    body = {"prompt": "hello", "model": "model", "max_tokens": 999, "expires_in": 5}

    refused = await stage.post("/jobs", body)
    assert refused.status == 422
    assert refused.error["code"] == "deadline_out_of_reach"
    assert "about 10 s now, and nine of ten up to 20 s" in refused.error["message"]
    assert await stage.empty()
    assert (await stage.post("/jobs", body | {"best_effort": True})).status == 202
    assert (await stage.post("/jobs", body | {"expires_in": 60})).status == 202


async def test_a_prompt_becomes_a_user_message(stage: Stage) -> None:
    await submit(stage, prompt='line\n"two"', temperature=0.5, max_tokens=7)

    claim = await stage.claim()

    assert msgspec.json.decode(claim.request) == {
        "messages": [{"role": "user", "content": 'line\n"two"'}],
        "temperature": 0.5,
        "max_tokens": 7,
    }


async def test_the_engine_gets_the_clients_own_values(stage: Stage) -> None:
    body = (
        b'{"messages": [{"role": "user", "content": "a\\u00e9", "extra": 1.50}], "model": "model",'
        b' "temperature": 0.10000000000000000001, "seed": 7, "metadata": {"a": "b"},'
        b' "priority": "batch", "task_type": "t", "expires_in": 60, "stream": false}'
    )
    reply = await stage.request("POST", "/jobs", body=body)

    claim = await stage.claim()

    assert reply.status == 202
    assert claim.request == (
        b'{"messages":[{"role": "user", "content": "a\\u00e9", "extra": 1.50}],'
        b'"temperature":0.10000000000000000001,"seed":7}'
    )


async def test_a_job_keeps_what_headpond_needs_to_know(stage: Stage) -> None:
    job_id = await submit(
        stage, task_type="label", metadata={"a": "b"}, priority="interactive", expires_in=60
    )

    shown = (await stage.get(f"/jobs/{job_id}")).json

    assert shown["task_type"] == "label"
    assert shown["metadata"] == {"a": "b"}
    assert shown["priority"] == "interactive"
    assert shown["deadline"] == stage.clock.now() + 60
    assert (await stage.depths())[0].ready == 1


@pytest.mark.parametrize(
    "deadline", [1_000_060, 1_000_060.0, "1970-01-12T13:47:40Z", "1970-01-12T14:47:40+01:00"]
)
async def test_a_deadline_is_a_date_or_a_number(stage: Stage, deadline: object) -> None:
    job_id = await submit(stage, deadline=deadline)

    assert (await stage.get(f"/jobs/{job_id}")).json["deadline"] == 1_000_060


async def test_a_finished_job_shows_its_result(stage: Stage) -> None:
    job_id = await submit(stage)
    await stage.work()

    shown = (await stage.get(f"/jobs/{job_id}")).json

    assert shown["status"] == "succeeded"
    assert shown["text"] == "hi"
    assert shown["result"]["object"] == "chat.completion"
    assert shown["usage"] == {"prompt_tokens": 3, "completion_tokens": 2}
    assert shown["model_version"] == "v1"
    assert shown["confidence"] == 0.9
    assert shown["cached"] is False
    assert shown["attempts"] == 1
    assert shown["error"] is None
    assert shown["finished_at"] == stage.clock.now()


async def test_a_result_that_makes_no_sense_is_still_shown(stage: Stage) -> None:
    job_id = await submit(stage)
    await stage.work(msgspec.structs.replace(answered(), response=b'{"choices": 1}'))

    shown = (await stage.get(f"/jobs/{job_id}")).json

    assert shown["text"] is None
    assert shown["result"] == {"choices": 1}


async def test_a_failed_job_says_why(stage: Stage) -> None:
    job_id = await submit(stage)
    await stage.work(Refused("too long"))

    shown = (await stage.get(f"/jobs/{job_id}")).json

    assert shown["status"] == "failed"
    assert shown["error"] == {"code": "engine_refused", "message": "too long"}
    assert shown["result"] is None


async def test_a_long_poll_answers_when_the_job_has_ended(stage: Stage) -> None:  # SPEC G3
    job_id = await submit(stage)

    poll = asyncio.create_task(stage.get(f"/jobs/{job_id}?wait=60"))
    await stage.work(Broke("hiccup"))
    stage.manual.advance(60)
    await stage.work()

    assert (await poll).json["status"] == "succeeded"


async def test_a_long_poll_is_bounded() -> None:
    stage = Stage(settings=GatewaySettings(max_wait_s=0.001))
    job_id = await submit(stage)

    assert (await stage.get(f"/jobs/{job_id}?wait=3600")).json["status"] == "queued"


async def test_the_same_key_and_body_are_one_job(stage: Stage) -> None:  # SPEC G7
    first = await stage.post("/jobs", {"prompt": "a"}, idempotency_key="k")
    again = await stage.post("/jobs", {"prompt": "a"}, idempotency_key="k")

    assert again.status == 202
    assert again.json["job_id"] == first.json["job_id"]
    assert again.headers["idempotent-replayed"] == "true"
    assert (await stage.depths())[1].ready == 1


async def test_a_key_with_another_body_is_refused(stage: Stage) -> None:
    await stage.post("/jobs", {"prompt": "a"}, idempotency_key="k")
    reply = await stage.post("/jobs", {"prompt": "b"}, idempotency_key="k")

    assert reply.status == 422
    assert reply.error["code"] == "idempotency_key_reused"
    assert reply.headers["x-should-retry"] == "false"


async def test_the_list_goes_from_the_newest_back(stage: Stage) -> None:
    ids: list[str] = []
    for _ in range(3):
        stage.manual.advance(1)
        ids.append(await submit(stage))

    first = (await stage.get("/jobs?limit=2")).json
    rest = (await stage.get(f"/jobs?limit=2&after={first['data'][-1]['job_id']}")).json

    assert [job["job_id"] for job in first["data"]] == [ids[2], ids[1]]
    assert first["has_more"] is True
    assert [job["job_id"] for job in rest["data"]] == [ids[0]]
    assert rest["has_more"] is False
    assert "result" not in rest["data"][0]


async def test_the_list_can_be_of_one_state(stage: Stage) -> None:
    done = await submit(stage)
    await stage.work()
    await submit(stage)

    listed = (await stage.get("/jobs?state=succeeded")).json

    assert [job["job_id"] for job in listed["data"]] == [done]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=1e1", "limit"),
        ("limit=-1", "limit"),
        ("limit=", "limit"),
        ("limit=1&limit=2", "limit"),
        ("state=gone", "state"),
        ("colour=red", "colour"),
    ],
)
async def test_a_bad_query_names_its_parameter(stage: Stage, query: str, param: str) -> None:
    reply = await stage.get(f"/jobs?{query}")

    assert reply.status == 400
    assert reply.error["param"] == param


@pytest.mark.parametrize("after", ["x", "job_" + "0" * 32, "job_" + "A" * 32, ""])
async def test_a_list_after_no_job_is_refused(stage: Stage, after: str) -> None:
    assert (await stage.get(f"/jobs?after={after}")).status == 404


@pytest.mark.parametrize("wait", ["-1", "x", "nan", "inf", "1e400", "", "1_0", "+1"])
async def test_a_bad_wait_is_refused(stage: Stage, wait: str) -> None:
    job_id = await submit(stage)

    assert (await stage.get(f"/jobs/{job_id}?wait={wait}")).status == 400


async def test_a_job_can_be_cancelled_and_stays_so(stage: Stage) -> None:
    job_id = await submit(stage)

    first = await stage.post(f"/jobs/{job_id}/cancel")
    again = await stage.post(f"/jobs/{job_id}/cancel")

    assert first.json["status"] == again.json["status"] == "cancelled"


async def test_a_job_that_is_done_cannot_be_cancelled(stage: Stage) -> None:
    job_id = await submit(stage)
    await stage.work()

    reply = await stage.post(f"/jobs/{job_id}/cancel")

    assert reply.status == 400
    assert reply.error["code"] == "job_already_ended"


@pytest.mark.parametrize("job_id", ["nope", "job_" + "0" * 32, "job_", "job_" + "g" * 32, "%00"])
async def test_an_unknown_job_is_not_found(stage: Stage, job_id: str) -> None:
    for method, url in [("GET", ""), ("GET", "/events"), ("POST", "/cancel")]:
        reply = await stage.request(method, f"/jobs/{job_id}{url}")
        assert reply.status == 404
        assert reply.error["code"] == "job_not_found"


async def test_another_teams_job_looks_like_none(stage: Stage) -> None:  # SPEC G5
    ours = (await stage.keys.create("ours")).secret
    theirs = (await stage.keys.create("theirs")).secret
    created = await stage.post("/jobs", {"prompt": "a"}, authorization=f"Bearer {ours}")
    job_id = created.json["job_id"]

    for method, url in [
        ("GET", f"/jobs/{job_id}"),
        ("GET", f"/jobs/{job_id}/events"),
        ("POST", f"/jobs/{job_id}/cancel"),
        ("GET", f"/jobs?after={job_id}"),
        ("GET", f"/v1/responses/resp_{job_id[4:]}"),
        ("POST", f"/v1/responses/resp_{job_id[4:]}/cancel"),
    ]:
        reply = await stage.request(method, url, headers={"authorization": f"Bearer {theirs}"})
        assert reply.status == 404, url
    listed = await stage.get("/jobs", authorization=f"Bearer {theirs}")
    assert listed.json["data"] == []


async def test_rate_limits_show_in_the_headers() -> None:  # SPEC G6
    limits = Limits(requests_per_minute=2, tokens_per_minute=600)
    stage = Stage(limits=LimitSettings(default=limits))

    first = await stage.post("/jobs", {"prompt": "a" * 40})

    assert first.headers["x-ratelimit-limit-requests"] == "2"
    assert first.headers["x-ratelimit-remaining-requests"] == "1"
    assert first.headers["x-ratelimit-reset-requests"] == "30s"
    assert first.headers["x-ratelimit-limit-tokens"] == "600"
    assert first.headers["x-ratelimit-remaining-tokens"] == str(600 - 266)

    await stage.post("/jobs", {"prompt": "a"})
    refused = await stage.post("/jobs", {"prompt": "a"})

    assert refused.status == 429
    assert refused.error["type"] == "rate_limit_error"
    assert refused.headers["retry-after"] == "30"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert "x-should-retry" not in refused.headers
    assert stage.recorder.facts[-1] == RequestRefused("rate_limit_exceeded", 429)


async def test_priorities_name_lanes(stage: Stage) -> None:
    await submit(stage, priority="interactive")
    await submit(stage)

    assert [depth.ready for depth in await stage.depths()] == [1, 1]
    assert (await stage.claim()).job.priority is Priority.INTERACTIVE


async def test_choices_count_as_work(stage: Stage) -> None:
    await submit(stage, n=3, max_tokens=100)
    await submit(stage, n=2)

    assert (await stage.claim()).job.work_tokens == 301
    assert (await stage.claim()).job.work_tokens == 513


async def test_unknown_parameters_pass_where_the_settings_say_so() -> None:
    stage = Stage(settings=GatewaySettings(unknown_parameters="pass"))
    await submit(stage, guided_choice=["a", "b"])

    assert msgspec.json.decode((await stage.claim()).request)["guided_choice"] == ["a", "b"]


async def test_the_larger_of_two_answer_limits_counts_as_work(stage: Stage) -> None:
    await submit(stage, max_completion_tokens=1, max_tokens=1000)

    assert (await stage.claim()).job.work_tokens > 1000


@pytest.mark.parametrize(
    "fields", [b'"messages":null,"prompt":"a"', b'"prompt":"a","messages": null']
)
async def test_a_field_that_is_null_is_not_there(stage: Stage, fields: bytes) -> None:
    reply = await stage.request("POST", "/jobs", body=b"{%b}" % fields)

    assert reply.status == 202
    request = msgspec.json.decode((await stage.claim()).request)
    assert request == {"messages": [{"role": "user", "content": "a"}]}


async def test_what_the_engine_reads_beside_the_messages_counts_as_work(stage: Stage) -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "d" * 4_000}}
    await submit(stage, tools=[tool], max_tokens=1)

    assert 1_000 < (await stage.claim()).job.work_tokens < 1_100


async def test_an_image_is_no_text(stage: Stage) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    messages = [{"role": "user", "content": [image]}]
    reply = await stage.post("/jobs", {"messages": messages, "max_tokens": 7})

    assert reply.status == 202
    assert (await stage.claim()).job.work_tokens == 7
