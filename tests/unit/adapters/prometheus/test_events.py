import math
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from headpond.adapters.prometheus.events import PrometheusListener
from headpond.domain.batch import Counts, Results
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
from headpond.domain.scaling.observation import Crew, Observation
from headpond.domain.scaling.state import ScalingStep
from headpond.domain.webhook_endpoint import EndpointId
from headpond.testing.batches_suite import a_batch
from headpond.testing.webhooks_suite import an_endpoint, an_event

PAGE = Path(__file__).parents[4] / "docs/metrics.md"

JOB = Job(
    id=JobId("secret-id"),
    ticket=Ticket("t"),
    team="shop",
    pool="default",
    priority=Priority.INTERACTIVE,
    model="m",
    accepted_at=0.0,
)
RUNNING = JOB.claimed("w", 1.0)
DONE = RUNNING.succeeded(2.0, engine="e", usage=Usage(10, 3))
CACHED = RUNNING.succeeded(2.0, engine="e", usage=Usage(10, 3), cached=True)
DEAD = RUNNING.buried(2.0, JobError("engine_error", "no"))

LEASED = Dispatch(event=an_event(), endpoint=EndpointId("we_1"), due_at=0.0).leased(1.0, 30.0)
BATCH = a_batch(team="shop")
BATCH_DONE = (
    BATCH.begun(1.0, 6, "m").lines_ended(2.0).written(3.0, Results(counts=Counts(6, 3, 2, 1)))
)

LANE = {"pool": "default", "priority": "interactive"}
OWNED = {**LANE, "team": "shop"}


STEP = ScalingStep(
    pool="default", at=1.0, before=1, target=3, why="9 jobs wait", seen=Observation()
)
CREW = Crew(ready=1, starting=(1.0, 2.0, 3.0), draining=4, pending=2)
FACTS: list[Fact] = [
    PoolScaled(STEP, changed=True),
    PoolScaled(replace(STEP, before=3), changed=False),
    JobSubmitted(JOB),
    JobSubmitted(JOB, replayed=True),
    RequestRefused("invalid", 400),
    JobClaimed(RUNNING, 7.5),
    JobSettled(DONE, 1.5),
    JobSettled(CACHED, 0.1),
    CacheAsked(RUNNING, "hit"),
    ClaimLost(JOB.id),
    FirstToken(RUNNING, 0.2),
    StreamOpened("chat"),
    StreamClosed("chat"),
    EngineAnswered("e", "Answered", 1.0),
    EngineStarting("e"),
    EngineHealth("e", healthy=True),
    EngineFailed("e", in_flight=4, suspects=4, reason="gone"),
    EngineBroken("e", failures=7, reason="500"),
    JobConvicted(DEAD),
    EngineLoad("e", running=3, waiting=0, kv_usage=None, in_flight=2, room=5),
    Reaped(JOB, "expired"),
    WebhookSent(LEASED, 1.0),
    EndpointDisabled(an_endpoint()),
    BatchAdvanced(BATCH),
    BatchEnded(BATCH_DONE),
    DutyFailed("reaper", "no"),
    DutyWellAgain("reaper", 20.0),
]


@pytest.mark.parametrize(
    ("fact", "sample", "labels", "value"),
    [
        (JobSubmitted(JOB), "headpond_jobs_submitted_total", OWNED, 1),
        (
            JobSubmitted(JOB, replayed=True),
            "headpond_jobs_replayed_total",
            {"pool": "default", "team": "shop"},
            1,
        ),
        (JobClaimed(RUNNING, 7.5), "headpond_job_wait_seconds_sum", LANE, 7.5),
        (
            JobSettled(DONE, 1.5),
            "headpond_jobs_settled_total",
            {**OWNED, "state": "succeeded"},
            1,
        ),
        (JobSettled(DEAD, 1.5), "headpond_jobs_settled_total", {**OWNED, "state": "dead"}, 1),
        (JobSettled(DONE, 1.5), "headpond_job_service_seconds_sum", LANE, 1.5),
        (
            JobSettled(DONE, 1.5),
            "headpond_tokens_total",
            {"pool": "default", "team": "shop", "kind": "completion"},
            3,
        ),
        (
            JobSettled(CACHED, 0.1),
            "headpond_tokens_total",
            {"pool": "default", "team": "shop", "kind": "completion"},
            None,
        ),
        (
            JobSettled(CACHED, 0.1),
            "headpond_cache_tokens_total",
            {"pool": "default", "team": "shop", "kind": "prompt"},
            10,
        ),
        (
            CacheAsked(RUNNING, "coalesced"),
            "headpond_cache_lookups_total",
            {"pool": "default", "team": "shop", "result": "coalesced"},
            1,
        ),
        (
            JobSettled(RUNNING.returned(charged=False), 1.5),
            "headpond_job_service_seconds_sum",
            LANE,
            None,
        ),
        *(
            (
                WebhookSent(dispatch, 1.5),
                "headpond_webhook_attempt_seconds_count",
                {"result": result},
                1,
            )
            for dispatch, result in (
                (LEASED.delivered(2.0, 200), "delivered"),
                (LEASED.retried(9.0, 500, "no"), "retried"),
                (LEASED.given_up(2.0, 500, "no"), "given_up"),
            )
        ),
        (EndpointDisabled(an_endpoint()), "headpond_webhook_endpoints_disabled_total", {}, 1),
        (FirstToken(RUNNING, 0.2), "headpond_first_token_seconds_sum", LANE, 0.2),
        (StreamOpened("chat"), "headpond_streams_open", {"api": "chat"}, 1),
        (StreamClosed("chat"), "headpond_streams_open", {"api": "chat"}, -1),
        (
            BatchAdvanced(BATCH),
            "headpond_batches_total",
            {"team": "shop", "status": "validating"},
            1,
        ),
        (
            BatchEnded(BATCH_DONE),
            "headpond_batch_lines_total",
            {"team": "shop", "end": "failed"},
            2,
        ),
        (ClaimLost(JobId("x")), "headpond_claims_lost_total", {}, 1),
        (
            EngineAnswered("e", "Broke", 2.0),
            "headpond_engine_answer_seconds_count",
            {"engine": "e", "outcome": "Broke"},
            1,
        ),
        (EngineFailed("e", 4, 6, "gone"), "headpond_engine_failures_total", {"engine": "e"}, 1),
        (
            JobConvicted(DEAD),
            "headpond_jobs_convicted_total",
            {"pool": "default", "team": "shop"},
            1,
        ),
        (EngineBroken("e", 7, "500"), "headpond_engine_breaks_total", {"engine": "e"}, 1),
        *(
            (
                PoolScaled(replace(STEP, seen=Observation(crew=CREW)), changed=False),
                "headpond_scaling_workers",
                {"pool": "default", "state": state},
                count,
            )
            for state, count in (("ready", 1), ("starting", 1), ("pending", 2), ("draining", 4))
        ),
        (EngineStarting("e"), "headpond_engine_up", {"engine": "e"}, 0),
        (EngineHealth("e", healthy=True), "headpond_engine_up", {"engine": "e"}, 1),
        (EngineHealth("e", healthy=False), "headpond_engine_up", {"engine": "e"}, 0),
        (
            Reaped(JOB, "reissued"),
            "headpond_jobs_reaped_total",
            {"pool": "default", "action": "reissued"},
            1,
        ),
        (
            RequestRefused("invalid", 400),
            "headpond_requests_refused_total",
            {"code": "invalid", "status": "400"},
            1,
        ),
        (DutyFailed("reaper", "no"), "headpond_duty_failures_total", {"duty": "reaper"}, 1),
    ],
)
def test_a_fact_is_counted(fact: Fact, sample: str, labels: dict[str, str], value: float | None):
    listener = PrometheusListener()
    listener.hear(fact)
    assert listener.registry.get_sample_value(sample, labels) == value


def test_unknown_is_not_zero():
    listener = PrometheusListener()
    listener.hear(EngineLoad("e", running=3, waiting=0, kv_usage=None, in_flight=2, room=5))
    read = {
        name: listener.registry.get_sample_value(f"headpond_engine_{name}", {"engine": "e"})
        for name in ("running", "waiting", "kv_usage_ratio", "in_flight", "room")
    }
    kv_usage = read.pop("kv_usage_ratio")
    assert read == {"running": 3, "waiting": 0, "in_flight": 2, "room": 5}
    assert kv_usage is not None
    assert math.isnan(kv_usage)


def test_an_hour_of_waiting_still_has_a_bucket():
    listener = PrometheusListener()
    listener.hear(JobClaimed(RUNNING, 3_500.0))
    within = {**LANE, "le": "3600.0"}
    assert listener.registry.get_sample_value("headpond_job_wait_seconds_bucket", within) == 1


def test_the_page_names_no_job():
    listener = PrometheusListener()
    for fact in FACTS:
        listener.hear(fact)
    page, content_type = listener.render()
    assert content_type.startswith("text/plain")
    assert b"headpond_jobs_submitted_total" in page
    assert b"secret-id" not in page


def test_two_listeners_do_not_share_anything():
    first, second = PrometheusListener(), PrometheusListener()
    first.hear(ClaimLost(JOB.id))
    assert second.registry.get_sample_value("headpond_claims_lost_total") == 0


def test_the_documented_metrics_are_those_that_exist():
    row = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*?) ?\|", re.MULTILINE)
    documented = {
        (name, kind, tuple(re.findall(r"\w+", labels)))
        for name, kind, labels in row.findall(PAGE.read_text())
        if not name.startswith(
            ("headpond_queue_", "headpond_webhooks_")
        )  # the gateway's own, in its tests
    }
    listener = PrometheusListener()
    for fact in FACTS:
        listener.hear(fact)
    existing = {
        (
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            tuple(name for name in family.samples[0].labels if name != "le"),
        )
        for family in listener.registry.collect()
    }
    assert documented == existing
