"""The client, against the real gateway and against things that are none."""

import pytest

from headpond.cli.bulk import ended_all, submit_all
from headpond.client import Client, error_of
from headpond.domain.job import JobState
from headpond.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    RateLimited,
    TryLater,
    Unauthenticated,
    Unavailable,
)
from headpond.testing.engine_server import FakeEngine
from tests.servers import Running


async def test_a_job_is_submitted_awaited_and_listed(running: Running) -> None:
    async with Client(running.url) as client:
        job_id = await client.submit({"prompt": "Echo."}, idempotency_key="k")
        assert await client.submit({"prompt": "Echo."}, idempotency_key="k") == job_id
        job = await client.ended(job_id)
        assert job.status is JobState.SUCCEEDED
        assert [job.job_id for job in await client.jobs(state=JobState.SUCCEEDED)] == [job_id]


async def test_a_job_is_cancelled(running: Running) -> None:
    running.engine.gate.clear()
    async with Client(running.url) as client:
        job_id = await client.submit({"prompt": "Echo."})
        assert (await client.cancel(job_id)).status is JobState.CANCELLED
    running.engine.gate.set()


async def test_many_jobs_keep_their_order(running: Running) -> None:
    told: list[None] = []
    async with Client(running.url) as client:
        bodies = [{"prompt": f"number {number}"} for number in range(50)]
        ids = await submit_all(client, bodies, keys="x", told=lambda _: told.append(None))
        ended = await ended_all(client, ids, told=lambda: told.append(None))
    assert [job.job_id for job in ended] == ids
    assert len(told) == 100


async def test_the_gateways_refusals_are_our_own_errors(running: Running) -> None:
    async with Client(running.url) as client:
        with pytest.raises(NotFound) as not_found:
            await client.job("job_" + "0" * 32)
        assert not_found.value.code == "job_not_found"
        with pytest.raises(InvalidRequest) as invalid:
            await client.submit({"wish": "x"})
        assert (invalid.value.code, invalid.value.param) == ("unknown_parameter", "wish")


async def test_something_that_is_no_gateway_is_told() -> None:
    async with FakeEngine() as engine, Client(engine.url) as client:
        with pytest.raises(NotFound):
            await client.jobs()
    async with Client("http://127.0.0.1:9") as client:
        with pytest.raises(Unavailable, match=r"No gateway answers at http://127\.0\.0\.1:9"):
            await client.jobs()
    async with Client("nonsense") as client:
        with pytest.raises(InvalidRequest, match="is no URL of a gateway"):
            await client.jobs()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidRequest),
        (401, Unauthenticated),
        (403, Forbidden),
        (404, NotFound),
        (422, InvalidRequest),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_a_status_means_an_error(status: int, kind: type[Exception]) -> None:
    error = error_of(status, {}, b'{"error": {"message": "m", "code": "c", "param": null}}')
    assert type(error) is kind
    assert (str(error), error.code) == ("m", "c")


def test_an_error_says_when_to_come_back() -> None:
    limits = {"retry-after": "7", "x-ratelimit-limit-tokens": "100"}
    limited = error_of(429, limits, b"<html>")
    assert isinstance(limited, RateLimited)
    assert (limited.retry_after_s, limited.unit, limited.limit) == (7, "tokens", 100)
    assert "HTTP 429: <html>" in str(limited)
    later = error_of(503, {"retry-after": "3"}, b"")
    assert isinstance(later, TryLater)
    assert later.retry_after_s == 3


@pytest.mark.parametrize("told", ["Wed, 21 Oct 2026 07:28:00 GMT", "soon", "nan", "", "-1"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_date_or_nonsense_for_when_to_come_back_is_soon(status: int, told: str) -> None:
    later = error_of(status, {"retry-after": told}, b"")
    assert isinstance(later, TryLater)
    assert later.retry_after_s == 1
