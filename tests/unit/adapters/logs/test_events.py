import logging

import pytest

from headpond.adapters.logs.events import LogListener
from headpond.domain.dispatch import Dispatch
from headpond.domain.facts import (
    BatchAdvanced,
    BatchEnded,
    CacheAsked,
    ClaimLost,
    DutyFailed,
    DutyWellAgain,
    EndpointDisabled,
    EngineAnswered,
    EngineBroken,
    EngineFailed,
    EngineHealth,
    EngineLoad,
    EngineStarting,
    Fact,
    FirstToken,
    JobClaimed,
    JobConvicted,
    JobSettled,
    JobSubmitted,
    PoolScaled,
    Reaped,
    RequestRefused,
    StreamClosed,
    StreamOpened,
    WebhookSent,
)
from headpond.domain.job import Job, JobError, JobId, Ticket, Usage
from headpond.domain.lane import Priority
from headpond.domain.scaling.observation import Observation
from headpond.domain.scaling.state import ScalingStep
from headpond.domain.webhook_endpoint import EndpointId
from headpond.testing.batches_suite import a_batch
from headpond.testing.webhooks_suite import an_endpoint, an_event

JOB = Job(
    id=JobId("j1"),
    ticket=Ticket("t"),
    team="shop",
    pool="default",
    priority=Priority.BATCH,
    model="m",
    metadata={"note": "private"},
    accepted_at=0.0,
)
RUNNING = JOB.claimed("w1", 1.0)
SEEN = {"job": "j1", "lane": "default/batch", "attempts": 1}
BATCH = a_batch()
BATCH_SEEN = {
    "batch": BATCH.id,
    "team": "team",
    "total": 0,
    "completed": 0,
    "failed": 0,
    "mistakes": 0,
}
ERROR = JobError("engine_error", "no")
LEASED = Dispatch(event=an_event(), endpoint=EndpointId("we_1"), due_at=0.0).leased(1.0, 30.0)
TOLD = {
    "event": "msg_1",
    "type": "batch.completed",
    "endpoint": "we_1",
    "attempts": 1,
    "duration_s": 1.5,
}


STEP = ScalingStep(
    pool="default", at=1.0, before=1, target=3, why="9 jobs wait", seen=Observation()
)


@pytest.mark.parametrize(
    ("fact", "level", "event", "fields"),
    [
        (
            JobSubmitted(JOB),
            "DEBUG",
            "job submitted",
            {**SEEN, "attempts": 0, "team": "shop", "replayed": False},
        ),
        (BatchAdvanced(BATCH), "INFO", "batch validating", BATCH_SEEN),
        (BatchEnded(BATCH.refused(1.0, [])), "INFO", "batch failed", BATCH_SEEN),
        (
            WebhookSent(LEASED.delivered(2.0, 200), 1.5),
            "DEBUG",
            "webhook delivered",
            {**TOLD, "error": None},
        ),
        (
            WebhookSent(LEASED.retried(9.0, 500, "no"), 1.5),
            "INFO",
            "webhook retried",
            {**TOLD, "error": "no"},
        ),
        (
            WebhookSent(LEASED.given_up(2.0, 500, "no"), 1.5),
            "WARNING",
            "webhook failed",
            {**TOLD, "error": "no"},
        ),
        (
            PoolScaled(STEP, changed=True),
            "INFO",
            "pool scaled",
            {"pool": "default", "before": 1, "target": 3, "why": "9 jobs wait"},
        ),
        (
            PoolScaled(STEP, changed=False),
            "DEBUG",
            "pool scaled",
            {"pool": "default", "before": 1, "target": 3, "why": "9 jobs wait"},
        ),
        (
            EndpointDisabled(an_endpoint(disabled_reason="no")),
            "WARNING",
            "webhook endpoint disabled",
            {"endpoint": "we_1", "team": "team", "reason": "no"},
        ),
        (CacheAsked(RUNNING, "hit"), "DEBUG", "cache hit", SEEN),
        (
            JobClaimed(RUNNING, 2.0),
            "DEBUG",
            "job claimed",
            {**SEEN, "worker": "w1", "waited_s": 2.0},
        ),
        (FirstToken(RUNNING, 0.2), "DEBUG", "first token", {**SEEN, "waited_s": 0.2}),
        (StreamOpened("jobs"), "DEBUG", "stream opened", {"api": "jobs"}),
        (StreamClosed("jobs"), "DEBUG", "stream closed", {"api": "jobs"}),
        (
            JobSettled(RUNNING.succeeded(2.0, engine="e", usage=Usage()), 1.0),
            "DEBUG",
            "job succeeded",
            {**SEEN, "service_s": 1.0},
        ),
        (
            JobSettled(RUNNING.returned(charged=True), 1.0),
            "DEBUG",
            "job returned",
            {**SEEN, "service_s": 1.0},
        ),
        (
            JobSettled(RUNNING.failed(2.0, ERROR), 1.0),
            "INFO",
            "job failed",
            {**SEEN, "service_s": 1.0, "code": "engine_error", "error": "no"},
        ),
        (
            JobSettled(RUNNING.buried(2.0, ERROR), 1.0),
            "WARNING",
            "job dead",
            {**SEEN, "service_s": 1.0, "code": "engine_error", "error": "no"},
        ),
        (ClaimLost(JOB.id), "INFO", "claim lost", {"job": "j1"}),
        (RequestRefused("no", 400), "DEBUG", "request refused", {"code": "no", "status": 400}),
        (
            EngineAnswered("e", "Broke", 0.5),
            "DEBUG",
            "engine answered",
            {"engine": "e", "outcome": "Broke", "duration_s": 0.5},
        ),
        (EngineStarting("e"), "INFO", "engine starting", {"engine": "e"}),
        (EngineHealth("e", healthy=True), "INFO", "engine healthy", {"engine": "e"}),
        (EngineHealth("e", healthy=False), "WARNING", "engine unhealthy", {"engine": "e"}),
        (
            EngineFailed("e", in_flight=4, suspects=6, reason="gone"),
            "WARNING",
            "engine failed",
            {"engine": "e", "in_flight": 4, "suspects": 6, "reason": "gone"},
        ),
        (
            EngineBroken("e", failures=7, reason="500"),
            "WARNING",
            "engine broken",
            {"engine": "e", "failures": 7, "reason": "500"},
        ),
        (
            JobConvicted(RUNNING.buried(2.0, ERROR)),
            "WARNING",
            "job convicted",
            {**SEEN, "code": "engine_error", "error": "no"},
        ),
        (
            EngineLoad("e", running=1, waiting=None, kv_usage=0.5, in_flight=2, room=3),
            "DEBUG",
            "engine load",
            {
                "engine": "e",
                "running": 1,
                "waiting": None,
                "kv_usage": 0.5,
                "in_flight": 2,
                "room": 3,
                "suspects": 0,
            },
        ),
        (Reaped(RUNNING, "expired"), "INFO", "job expired", SEEN),
        (DutyFailed("reaper", "x"), "WARNING", "duty failed", {"duty": "reaper", "error": "x"}),
        (
            DutyWellAgain("reaper", 20.0),
            "INFO",
            "duty well again",
            {"duty": "reaper", "failed_s": 20.0},
        ),
    ],
)
def test_a_fact_becomes_a_line_at_its_level(
    caplog: pytest.LogCaptureFixture, fact: Fact, level: str, event: str, fields: dict[str, object]
):
    with caplog.at_level(logging.DEBUG, "headpond"):
        LogListener().hear(fact)
    (record,) = caplog.records
    assert record.levelname == level
    assert record.getMessage() == event
    assert vars(record)["fields"] == fields


def test_each_jobs_path_is_silent_unless_asked_for(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO, "headpond"):
        LogListener().hear(JobSubmitted(JOB))
    assert caplog.records == []
