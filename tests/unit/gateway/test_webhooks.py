"""Endpoints over HTTP, and callbacks of jobs. SPEC G1, G3."""

from typing import Any

import pytest

from headpond.domain.dispatch import DispatchState, Replied, Unreached
from headpond.domain.outcome import Refused
from headpond.domain.webhook_endpoint import callbacks_of
from headpond.domain.webhook_event import EventType
from headpond.ports.outbox import DispatchQuery
from headpond.services.webhooks import MAX_ENDPOINTS
from tests.stages import Stage

URL = "https://example.com/hook"
PATH = "/v1/webhook_endpoints"


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def create(stage: Stage, **fields: Any) -> Any:
    body = {"url": URL, "event_types": ["job.succeeded", "job.failed"], "name": "n", **fields}
    reply = await stage.post(PATH, body)
    assert reply.status == 200, reply.body
    return reply.json


async def test_a_secret_is_shown_once(stage: Stage) -> None:
    made = await create(stage)
    assert made["signing_secret"].startswith("whsec_")
    assert made["status"] == "enabled"
    shown = (await stage.get(f"{PATH}/{made['id']}")).json
    assert shown == {key: value for key, value in made.items() if key != "signing_secret"}
    listed = (await stage.get(PATH)).json
    assert listed["data"] == [shown]


async def test_endpoints_are_listed_newest_first_and_in_pages(stage: Stage) -> None:
    ids: list[str] = []
    for _ in range(3):
        ids.append((await create(stage))["id"])
        stage.manual.advance(1)
    first = (await stage.get(f"{PATH}?limit=2")).json
    assert [one["id"] for one in first["data"]] == [ids[2], ids[1]]
    assert (first["has_more"], first["last_id"]) == (True, ids[1])
    second = (await stage.get(f"{PATH}?limit=2&after={ids[1]}")).json
    assert ([one["id"] for one in second["data"]], second["has_more"]) == ([ids[0]], False)
    assert (await stage.get(f"{PATH}?after=we_none")).status == 404


async def test_types_of_events_are_listed(stage: Stage) -> None:
    assert (await stage.get("/v1/webhook_event_types")).json["data"] == list(EventType)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"url": "http://example.com/"}, "webhook_url_refused"),
        ({"url": "https://127.0.0.1/"}, "webhook_url_refused"),
        ({"url": f"https://{'a' * 64}.example/"}, "webhook_url_refused"),
        ({"event_types": []}, "invalid_value"),
        ({"event_types": ["job.bored"]}, "invalid_value"),
        ({"name": "\x00"}, "invalid_value"),
        ({"secret": "mine"}, "unknown_parameter"),
    ],
)
async def test_what_is_wrong_is_refused(stage: Stage, fields: dict[str, Any], code: str) -> None:
    body = {"url": URL, "event_types": ["job.failed"], **fields}
    reply = await stage.post(PATH, body)
    assert (reply.status, reply.error["code"]) == (400, code)
    made = await create(stage)
    reply = await stage.post(f"{PATH}/{made['id']}", fields)
    assert (reply.status, reply.error["code"]) == (400, code)


async def test_a_team_has_a_bounded_number(stage: Stage) -> None:
    for _ in range(MAX_ENDPOINTS):
        await create(stage)
    reply = await stage.post(PATH, {"url": URL, "event_types": ["job.failed"]})
    assert reply.error["code"] == "too_many_endpoints"


async def test_another_team_sees_nothing(stage: Stage) -> None:
    mine = f"Bearer {(await stage.keys.create('mine')).secret}"
    other = f"Bearer {(await stage.keys.create('other')).secret}"
    body = {"url": URL, "event_types": ["job.failed"]}
    made = (await stage.post(PATH, body, authorization=mine)).json
    path = f"{PATH}/{made['id']}"
    for method, url, sent in (
        ("GET", path, None),
        ("POST", path, {}),
        ("DELETE", path, None),
        ("POST", f"{path}/rotate_secret", {}),
        ("POST", f"{path}/test", {"event_type": "job.failed"}),
        ("GET", f"{path}/deliveries", None),
        ("POST", f"{path}/redeliver", {}),
    ):
        reply = await stage.request(method, url, sent, headers={"authorization": other})
        assert (reply.status, reply.error["code"]) == (404, "webhook_endpoint_not_found"), url
    assert (await stage.get(PATH, authorization=other)).json["data"] == []
    foreign = f"{PATH}/{callbacks_of('mine')}"
    assert (await stage.get(foreign.replace(":", "%3A"), authorization=mine)).status == 404


async def test_a_change_enables_again(stage: Stage) -> None:
    made = await create(stage)
    endpoint = await stage.webhooks.endpoint("local", made["id"])
    gone = endpoint.judged(1.0, gone=True, delivered=False, gave_up=True, disable_after_s=1)
    assert gone is not None
    assert await stage.endpoints.swap(gone)
    shown = (await stage.get(f"{PATH}/{made['id']}")).json
    assert (shown["status"], shown["disabled_reason"]) == ("disabled", "It answered 410 Gone.")
    changed = (await stage.post(f"{PATH}/{made['id']}", {"event_types": ["job.dead"]})).json
    assert (changed["status"], changed["event_types"]) == ("enabled", ["job.dead"])
    assert changed["url"] == URL


async def test_a_secret_is_rotated_with_and_without_an_overlap(stage: Stage) -> None:
    made = await create(stage)
    path = f"{PATH}/{made['id']}/rotate_secret"
    kept = (await stage.post(path, {"keep_old_secret_active_for_24_hours": True})).json
    endpoint = await stage.webhooks.endpoint("local", made["id"])
    assert endpoint.secrets(stage.clock.now()) == [kept["signing_secret"], made["signing_secret"]]
    alone = (await stage.post(path, {})).json
    endpoint = await stage.webhooks.endpoint("local", made["id"])
    assert endpoint.secrets(stage.clock.now()) == [alone["signing_secret"]]


async def test_a_sample_is_sent_at_once(stage: Stage) -> None:
    made = await create(stage)
    path = f"{PATH}/{made['id']}/test"
    stage.receiver.reaction = Replied(503)
    reply = await stage.post(path, {"event_type": "batch.failed"})
    assert reply.json["status_code"] == 503
    ((url, headers, body),) = stage.receiver.posts
    assert (url, b"batch.failed" in body) == (URL, True)
    assert headers["webhook-signature"].startswith("v1,")
    stage.receiver.reaction = Unreached("Nobody there.")
    reply = await stage.post(path, {"event_type": "batch.failed"})
    assert (reply.status, reply.error["code"]) == (400, "webhook_unreached")
    assert "Nobody there." in reply.error["message"]


async def test_deliveries_are_listed_and_sent_again(stage: Stage) -> None:
    made = await create(stage)
    path = f"{PATH}/{made['id']}"
    for number in range(3):
        await stage.post("/jobs", {"prompt": f"{number}"})
        await stage.work(Refused("no") if number else None)
    listed = (await stage.get(f"{path}/deliveries?limit=2")).json
    types = [one["event_type"] for one in listed["data"]]
    assert (types, listed["has_more"]) == (["job.failed", "job.failed"], True)
    after = listed["data"][-1]["id"]
    (oldest,) = (await stage.get(f"{path}/deliveries?after={after}")).json["data"]
    assert (oldest["event_type"], oldest["status"]) == ("job.succeeded", "pending")
    assert oldest["next_attempt_at"] is not None
    assert (await stage.get(f"{path}/deliveries?after=msg_none")).status == 404
    assert (await stage.get(f"{path}/deliveries?status=bored")).status == 400
    assert (await stage.get(f"{path}/deliveries?status=failed")).json["data"] == []

    for dispatch in await stage.outbox.find(DispatchQuery(endpoint=made["id"])):
        assert await stage.outbox.swap(dispatch.given_up(stage.clock.now(), 500, "It answered."))
    again = await stage.post(f"{path}/redeliver", {"id": oldest["id"]})
    assert again.json["count"] == 1
    assert (await stage.post(f"{path}/redeliver", {"id": oldest["id"]})).json["count"] == 0
    assert (await stage.post(f"{path}/redeliver", {})).json["count"] == 2
    unknown = await stage.post(f"{path}/redeliver", {"id": "msg_none"})
    assert unknown.error["code"] == "webhook_delivery_not_found"


async def test_more_than_a_page_is_sent_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headpond.services.webhooks.PAGE", 2)
    made = await create(stage)
    for number in range(5):
        await stage.post("/jobs", {"prompt": f"{number}"})
        await stage.work()
    query = DispatchQuery(endpoint=made["id"])
    for dispatch in await stage.outbox.find(query):
        await stage.outbox.swap(dispatch.given_up(stage.clock.now(), None, "No."))
    assert (await stage.post(f"{PATH}/{made['id']}/redeliver", {})).json["count"] == 5
    assert {one.state for one in await stage.outbox.find(query)} == {DispatchState.PENDING}


async def test_an_endpoint_is_deleted(stage: Stage) -> None:
    made = await create(stage)
    reply = await stage.request("DELETE", f"{PATH}/{made['id']}")
    assert reply.json == {"id": made["id"], "object": "webhook_endpoint.deleted", "deleted": True}
    assert (await stage.get(f"{PATH}/{made['id']}")).status == 404


async def test_a_jobs_callback_is_told_of_its_end(stage: Stage) -> None:
    created = await stage.post("/jobs", {"prompt": "a", "callback": {"url": URL}})
    job_id = created.json["job_id"]
    assert (await stage.get(f"/jobs/{job_id}")).json["callback"] == {"url": URL}
    assert "callback" not in (await stage.claim()).request.decode()
    await stage.post(f"/jobs/{job_id}/cancel")
    (told,) = (await stage.get(f"{PATH}/callbacks/deliveries")).json["data"]
    assert (told["event_type"], told["url"]) == ("job.cancelled", URL)


@pytest.mark.parametrize(
    ("callback", "code", "param"),
    [
        ({"url": "https://127.1/"}, "webhook_url_refused", "callback.url"),
        ({"url": f"https://{'a.' * 522}example/"}, "webhook_url_refused", "callback.url"),
        ({"url": "http://example.com/"}, "webhook_url_refused", "callback.url"),
        ({}, "missing_required_parameter", "callback.url"),
        ({"url": URL, "x": 1}, "unknown_parameter", "callback.x"),
        (URL, "invalid_value", "callback"),
    ],
)
async def test_a_bad_callback_makes_no_job(
    stage: Stage, callback: object, code: str, param: str
) -> None:
    reply = await stage.post("/jobs", {"prompt": "a", "callback": callback})
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, code, param)
    assert await stage.empty()


async def test_the_endpoint_of_callbacks_is_there_and_has_only_a_secret(stage: Stage) -> None:
    shown = (await stage.get(f"{PATH}/callbacks")).json
    assert (shown["id"], shown["url"], shown["event_types"]) == ("callbacks", None, [])
    assert (await stage.get(PATH)).json["data"] == []
    rotated = (await stage.post(f"{PATH}/callbacks/rotate_secret", {})).json
    assert rotated["signing_secret"].startswith("whsec_")
    for method, url, body in (
        ("POST", f"{PATH}/callbacks", {}),
        ("DELETE", f"{PATH}/callbacks", None),
        ("POST", f"{PATH}/callbacks/test", {"event_type": "job.failed"}),
    ):
        reply = await stage.request(method, url, body)
        assert (reply.status, reply.error["code"]) == (400, "not_for_callbacks")


async def test_metrics_show_what_nobody_was_told(stage: Stage) -> None:
    await create(stage)
    await stage.post("/jobs", {"prompt": "a"})
    await stage.work()
    stage.manual.advance(3)
    text = (await stage.get("/metrics")).body.decode()
    assert "headpond_webhooks_pending 1" in text
    assert "headpond_webhooks_oldest_age_seconds 3" in text
