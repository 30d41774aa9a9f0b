"""What is told of a job's end. SPEC G3."""

import msgspec
import pytest

from headpond.domain.job import Job, JobError, Usage
from headpond.domain.webhook_event import EventType, job_events
from headpond.testing.records import a_job

NOW = 1_000_000.0


def running() -> Job:
    return a_job(background=True).enqueued(NOW).claimed("w", NOW)


def answered(*, cut_short: bool) -> Job:
    return running().succeeded(NOW, engine="e", usage=Usage(), cut_short=cut_short)


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        (answered(cut_short=False), EventType.RESPONSE_COMPLETED),
        (answered(cut_short=True), EventType.RESPONSE_INCOMPLETE),
        (running().failed(NOW, JobError("code", "why")), EventType.RESPONSE_FAILED),
        (running().buried(NOW, JobError("code", "why")), EventType.RESPONSE_FAILED),
        (running().expired(NOW), EventType.RESPONSE_FAILED),
        (running().cancelled(NOW), EventType.RESPONSE_CANCELLED),
    ],
)
def test_a_response_in_the_background_is_told_in_openais_words_too(
    ended: Job, told: EventType
) -> None:
    own, response = job_events(ended)
    assert own.type.startswith("job.")
    assert response.type is told
    assert response.id == f"{own.id}_response"
    body = msgspec.json.decode(response.body)
    assert body["data"] == {"id": "resp_" + ended.id.removeprefix("job_")}


@pytest.mark.parametrize("background", [None, False])
def test_what_is_no_response_of_the_background_is_told_once(background: bool | None) -> None:
    assert len(job_events(a_job(background=background).cancelled(NOW))) == 1
