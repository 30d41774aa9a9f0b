"""Models, probes, metrics, the document, identity, and the app as a whole."""

import asyncio
import re
from pathlib import Path

import pytest
from starlette.types import Message

from headpond.domain.job import Job
from headpond.domain.lane import Lane, Priority
from headpond.domain.outcome import Broke
from headpond.errors import Unavailable
from headpond.gateway.health import _labels
from headpond.ports.jobs import JobQuery
from headpond.ports.queue import Depth
from headpond.settings import GatewaySettings
from headpond.testing.virtual_time import LoopClock, run_virtually
from tests.stages import Reply, Stage

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def stage() -> Stage:
    return Stage(catalogue={"default": ["model", "org/other"], "big": []})


async def test_models_are_what_the_settings_say(stage: Stage) -> None:
    listed = (await stage.get("/v1/models")).json

    assert [model["id"] for model in listed["data"]] == ["model", "org/other"]
    assert (await stage.get("/v1/models/org/other")).json == {
        "id": "org/other",
        "object": "model",
        "created": 0,
        "owned_by": "default",
    }
    assert (await stage.get("/v1/models/none")).error["code"] == "model_not_found"


async def test_probes_and_pages_need_no_key(stage: Stage) -> None:
    await stage.keys.create("team")
    for url in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"):
        assert (await stage.get(url)).status == 200, url
    for url in ("/jobs", "/v1/models"):
        assert (await stage.get(url)).status == 401, url


async def test_a_head_request_is_a_get(stage: Stage) -> None:
    assert (await stage.request("HEAD", "/healthz")).status == 200


async def test_metrics_show_what_waits(stage: Stage) -> None:
    await stage.post("/jobs", {"prompt": "a"})
    await stage.post("/jobs", {"prompt": "b", "priority": "interactive"})
    await stage.work(Broke("later"))
    stage.manual.advance(0.25)

    text = (await stage.get("/metrics")).body.decode()

    assert "up 1" in text
    assert 'headpond_queue_depth{pool="default",priority="batch",state="ready"} 1' in text
    assert 'headpond_queue_depth{pool="default",priority="interactive",state="delayed"} 1' in text
    assert 'headpond_queue_oldest_age_seconds{pool="default",priority="batch"} 0.25' in text
    assert 'oldest_age_seconds{pool="default",priority="interactive"}' not in text
    page = (REPOSITORY / "docs/metrics.md").read_text()
    row = re.compile(r"^\| `(headpond_queue_\w+)` \| gauge \| ([^|]*) \|", re.MULTILINE)
    documented = {(name, *re.findall(r"\w+", labels)) for name, labels in row.findall(page)}
    samples = re.findall(r"^(headpond_queue_\w+)\{(.*)\}", text, re.MULTILINE)
    assert documented == {(name, *re.findall(r"(\w+)=", labels)) for name, labels in samples}


async def test_a_queue_that_does_not_answer_has_no_depth(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(lane: Lane) -> Depth:
        del lane
        raise Unavailable("away", code="store_unavailable")

    monkeypatch.setattr(stage.queue, "depth", away)

    assert (await stage.get("/metrics")).body == b"# TYPE up gauge\nup 1\n"


async def test_depths_are_not_counted_for_each_scrape(stage: Stage) -> None:
    before = (await stage.get("/metrics")).body
    await stage.post("/jobs", {"prompt": "hello"})
    assert (await stage.get("/metrics")).body == before


async def test_a_store_that_does_not_answer_is_not_ready(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(query: JobQuery) -> list[Job]:
        del query
        raise Unavailable("away", code="store_unavailable")

    monkeypatch.setattr(stage.jobs, "find", away)
    assert (await stage.get("/readyz")).status == 503
    assert (await stage.get("/healthz")).status == 200


def test_a_store_that_hangs_is_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(query: JobQuery) -> None:
        await asyncio.Event().wait()
        del query

    async def experiment() -> None:
        stage = Stage(clock=LoopClock())
        monkeypatch.setattr(stage.jobs, "find", hang)
        assert (await stage.get("/readyz")).status == 503

    run_virtually(experiment())


async def test_the_document_names_every_path(stage: Stage) -> None:
    document = (await stage.get("/openapi.json")).json

    assert document["openapi"] == "3.1.0"
    assert {"/jobs", "/jobs/{id}", "/v1/responses", "/v1/models/{id}"} <= document["paths"].keys()
    create = document["paths"]["/jobs"]["post"]
    assert create["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/JobRequest"
    }
    assert {"202", "400", "401", "413", "422", "429", "503"} <= create["responses"].keys()


async def test_the_page_comes_from_here_alone(stage: Stage) -> None:
    page = (await stage.get("/docs")).body.decode()

    assert "/v1/chat/completions" in page
    assert "<script" not in page
    assert "http://" not in page
    assert "https://" not in page


async def test_without_keys_everybody_is_local(stage: Stage) -> None:  # SPEC G5
    await stage.post("/jobs", {"prompt": "a"}, authorization="Bearer anything")

    assert (await stage.claim()).job.team == "local"


@pytest.mark.parametrize("authorization", [None, "", "Basic abc", "Bearer ", "Bearer hp_wrong"])
async def test_with_keys_a_key_is_needed(stage: Stage, authorization: str | None) -> None:
    await stage.keys.create("team")
    headers = {} if authorization is None else {"authorization": authorization}
    reply = await stage.request("POST", "/jobs", {"prompt": "a"}, headers=headers)

    assert reply.status == 401
    assert reply.headers["www-authenticate"] == "Bearer"
    assert reply.headers["x-should-retry"] == "false"
    assert reply.error["type"] == "authentication_error"
    assert await stage.empty()


async def test_team_and_feature_ride_on_the_job(stage: Stage) -> None:
    secret = (await stage.keys.create("team", "search")).secret
    await stage.post("/jobs", {"prompt": "a"}, authorization=f"bearer {secret}")

    job = (await stage.claim()).job
    assert (job.team, job.feature) == ("team", "search")


async def test_websockets_are_turned_away(stage: Stage) -> None:
    sent: list[str] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    await stage.app({"type": "websocket", "path": "/jobs/x/socket", "headers": []}, receive, send)

    assert sent == ["websocket.close"]


async def test_a_client_that_leaves_while_it_sends_gets_no_answer(stage: Stage) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    reply = await stage.request("POST", "/jobs", body=b"{}", receive=receive)

    assert reply == Reply()
    assert await stage.empty()


async def test_an_error_after_the_answer_began_is_not_answered_twice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    created = await stage.post("/jobs", {"prompt": "a"})

    async def broken(*args: object) -> None:
        del args
        raise RuntimeError("half-way")

    monkeypatch.setattr(stage.jobs, "wait_for_change", broken)
    with pytest.raises(RuntimeError, match="half-way"):
        await stage.get(f"{created.json['poll_url']}/events")
    assert caplog.text == ""


def test_labels_are_escaped() -> None:
    assert _labels(Lane('a"\\\n', Priority.BATCH)) == 'pool="a\\"\\\\\\n",priority="batch"'


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "localhost:8080"},
        {"host": "LOCALHOST"},
        {"host": "127.0.0.1:1"},
        {"host": "[::1]:8080"},
        {"host": "127.0.0.1", "origin": "http://localhost:3000"},
    ],
)
async def test_this_machine_needs_no_key(stage: Stage, headers: dict[str, str]) -> None:
    assert (await stage.get("/jobs", **headers)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost.evil.example:8080"},
        {"host": "8.8.8.8"},
        {"host": ""},
        {"host": "["},
        {"host": "localhost", "origin": "https://evil.example"},
        {"host": "localhost", "origin": "null"},
    ],
)
async def test_a_page_that_reaches_this_machine_by_its_own_name_is_forbidden(
    stage: Stage, headers: dict[str, str]
) -> None:
    reply = await stage.post("/jobs", {"prompt": "a"}, **headers)

    assert reply.status == 403
    assert reply.error["code"] == "foreign_host"
    assert "headpond keys create" in reply.error["message"]
    assert await stage.empty()


async def test_with_a_key_any_name_is_good(stage: Stage) -> None:
    secret = (await stage.keys.create("local")).secret
    headers = {"host": "llm.example", "origin": "https://app.example"}

    assert (await stage.get("/jobs", authorization=f"Bearer {secret}", **headers)).status == 200


async def test_the_name_that_is_bound_is_ours() -> None:
    stage = Stage(settings=GatewaySettings(host="pond.internal"))

    assert (await stage.get("/jobs", host="pond.internal:8080")).status == 200
