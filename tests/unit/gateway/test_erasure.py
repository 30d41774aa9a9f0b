"""What was erased is answered with 410 and what remains. SPEC Q6 D6."""

import pytest

from headpond.domain.job import JobId
from headpond.ports.jobs import Bodies
from tests.stages import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def done(stage: Stage) -> str:
    reply = await stage.post("/jobs", {"prompt": "a"})
    await stage.work()
    return reply.json["job_id"]


async def test_a_deleted_job_leaves_a_tombstone(stage: Stage) -> None:
    job_id = await done(stage)
    for _ in range(2):
        reply = await stage.request("DELETE", f"/jobs/{job_id}")
        assert reply.json == {"id": job_id, "object": "job", "deleted": True}
    reply = await stage.get(f"/jobs/{job_id}")
    assert (reply.status, reply.error["code"]) == (410, "job_erased")
    assert reply.json["job"] == {
        "job_id": job_id,
        "status": "succeeded",
        "accepted_at": 1_000_000.0,
        "finished_at": 1_000_000.0,
        "erased_at": 1_000_000.0,
    }
    assert reply.headers["x-should-retry"] == "false"
    [listed] = (await stage.get("/jobs")).json["data"]
    assert listed["job_id"] == job_id


async def test_what_has_not_ended_is_not_deleted(stage: Stage) -> None:
    job_id = (await stage.post("/jobs", {"prompt": "a"})).json["job_id"]
    reply = await stage.request("DELETE", f"/jobs/{job_id}")
    assert (reply.status, reply.error["code"]) == (400, "job_not_ended")
    await stage.post(f"/jobs/{job_id}/cancel")
    assert (await stage.request("DELETE", f"/jobs/{job_id}")).status == 200


async def test_another_teams_job_is_not_there(stage: Stage) -> None:
    job_id = await done(stage)
    secret = (await stage.keys.create("other")).secret
    stage.manual.advance(2)
    headers = {"authorization": f"Bearer {secret}"}
    assert (await stage.request("DELETE", f"/jobs/{job_id}", headers=headers)).status == 404


async def test_a_response_is_deleted_as_openais(stage: Stage) -> None:
    body = {"model": "model", "input": "a", "background": True}
    response_id = (await stage.post("/v1/responses", body)).json["id"]
    await stage.work()
    reply = await stage.request("DELETE", f"/v1/responses/{response_id}")
    assert reply.json == {"id": response_id, "object": "response", "deleted": True}
    reply = await stage.get(f"/v1/responses/{response_id}")
    assert (reply.status, reply.error["code"]) == (410, "job_erased")


async def test_a_key_whose_job_is_erased_leads_to_the_tombstone(stage: Stage) -> None:
    body = {"model": "model", "messages": [{"role": "user", "content": "a"}]}
    headers = {"idempotency_key": "k", "x_headpond_wait": "0"}
    await stage.post("/v1/chat/completions", body, **headers)
    job_id = (await stage.work()).job.id
    await stage.request("DELETE", f"/jobs/{job_id}")
    reply = await stage.post("/v1/chat/completions", body, **headers)
    assert (reply.status, reply.error["code"]) == (410, "job_erased")


async def test_the_events_of_an_erased_job_end_with_its_record(stage: Stage) -> None:
    job_id = await done(stage)
    await stage.request("DELETE", f"/jobs/{job_id}")
    reply = await stage.get(f"/jobs/{job_id}/events")
    assert reply.status == 200
    assert b'"result":null' in reply.body


async def test_what_is_erased_while_it_is_read_is_gone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await done(stage)
    bodies = stage.jobs.bodies

    async def erased_meanwhile(name: JobId) -> Bodies | None:
        job = await stage.jobs.get(name)
        assert job is not None
        await stage.jobs.erase(job.erased(stage.clock.now()))
        return await bodies(name)

    monkeypatch.setattr(stage.jobs, "bodies", erased_meanwhile)
    reply = await stage.get(f"/jobs/{job_id}")
    assert (reply.status, reply.error["code"]) == (410, "job_erased")
