"""/dead-letters is for operators. SPEC Q5."""

import json

import pytest

from headpond.domain.identity import Role
from headpond.testing.dead_letters_suite import a_dead_job
from headpond.testing.records import new_job
from tests.stages import Stage


@pytest.fixture
async def stage() -> Stage:
    """Two dead letters of one cause, one of another."""
    stage = Stage()
    for team, code in (("a", "engine_error"), ("b", "engine_error"), ("b", "engine_timeout")):
        job = a_dead_job(stage.clock.now() - 10, code, team=team)
        await stage.jobs.add(new_job(job))
    return stage


async def test_only_an_operator_comes_in(stage: Stage) -> None:
    assert (await stage.get("/dead-letters")).status == 200
    team = (await stage.keys.create("a")).secret
    operator = (await stage.keys.create("a", role=Role.OPERATOR)).secret
    stage.manual.advance(2)
    for path in ("", "/groups", "/export", "/job_1"):
        reply = await stage.get(f"/dead-letters{path}", authorization=f"Bearer {team}")
        assert (reply.status, reply.error["code"]) == (403, "operators_only")
    for path in ("/redrive", "/discard"):
        reply = await stage.post(
            f"/dead-letters{path}", {"all": True}, authorization=f"Bearer {team}"
        )
        assert reply.status == 403
    assert (await stage.get("/dead-letters", authorization=f"Bearer {operator}")).status == 200


async def test_they_are_listed_and_narrowed(stage: Stage) -> None:
    listed = (await stage.get("/dead-letters?limit=2")).json
    assert listed["has_more"]
    assert [letter["cause"]["code"] for letter in listed["data"]] == ["engine_error"] * 2
    for query, count in (("team=b", 2), ("code=engine_timeout", 1), ("since=2000000", 0)):
        listed = (await stage.get(f"/dead-letters?{query}")).json
        assert len(listed["data"]) == count
    reply = await stage.get("/dead-letters?until=now")
    assert (reply.status, reply.error["param"]) == (400, "until")


async def test_a_group_is_redriven(stage: Stage) -> None:
    [largest, _] = (await stage.get("/dead-letters/groups")).json["data"]
    assert largest["count"] == 2
    body = {"cause": largest["cause"]["id"]}
    dry = await stage.post("/dead-letters/redrive", body | {"dry_run": True})
    assert (dry.json["done"], dry.json["dry_run"]) == (2, True)
    done = await stage.post("/dead-letters/redrive", body | {"per_second": 100})
    assert done.json["done"] == 2
    assert len((await stage.get("/dead-letters")).json["data"]) == 1


async def test_everything_must_be_said(stage: Stage) -> None:
    for path in ("redrive", "discard"):
        reply = await stage.post(f"/dead-letters/{path}", {})
        assert (reply.status, reply.error["param"]) == (400, "all")
    assert (await stage.post("/dead-letters/discard", {"all": True})).json["done"] == 3


async def test_one_is_shown_and_discarded(stage: Stage) -> None:
    [letter, *_] = (await stage.get("/dead-letters")).json["data"]
    job_id = letter["job"]["id"]
    case = (await stage.get(f"/dead-letters/{job_id}")).json
    assert case["request"]["messages"]
    assert (await stage.post("/dead-letters/discard", {"id": job_id})).json["done"] == 1
    reply = await stage.get(f"/dead-letters/{job_id}")
    assert (reply.status, reply.error["code"]) == (404, "dead_letter_not_found")


async def test_an_export_has_a_case_a_line(stage: Stage) -> None:
    reply = await stage.get("/dead-letters/export?team=b")
    cases = [json.loads(line) for line in reply.body.splitlines()]
    assert {case["error"]["code"] for case in cases} == {"engine_error", "engine_timeout"}
