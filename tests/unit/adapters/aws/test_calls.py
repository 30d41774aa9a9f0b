"""How often AWS is called for a job: docs/backends.md makes a price of it."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from headpond.adapters.aws import calls
from headpond.adapters.aws.calls import Place, connect, place_of
from headpond.adapters.aws.form import FORM
from headpond.adapters.aws.queue import SqsQueue
from headpond.adapters.aws.table import DynamoTable, open_table
from headpond.adapters.documents.jobs import DocumentJobStore
from headpond.adapters.documents.table import Key, Put, expires
from headpond.domain.job import Job, Ticket, Usage
from headpond.domain.lane import lanes_of
from headpond.domain.outcome import Settlement
from headpond.errors import SettingsError, Unavailable
from headpond.services.two_step_delivery import TwoStepDelivery
from headpond.testing.clocks import ManualClock
from headpond.testing.records import RESPONSE, a_job, new_job
from tests.emulators.moto_server import Moto

JOBS = 10


async def test_a_job_costs_twelve_calls(
    table: DynamoTable, jobs: DocumentJobStore, queue: SqsQueue, clock: ManualClock
) -> None:
    delivery = TwoStepDelivery(
        jobs,
        queue,
        clock=clock,
        new_ticket=lambda: Ticket("new"),
        lease_s=30,
        max_lost_leases=3,
    )
    await queue.depth(lanes_of("default")[0])
    await queue.depth(lanes_of("default")[1])
    table._service.calls.clear()
    queue._service.calls.clear()
    queue._polls.calls.clear()

    for _ in range(JOBS):
        await delivery.submit(new_job(a_job()))
    claims = await delivery.claim(lanes_of("default"), worker="w", limit=JOBS)
    await delivery.renew(claims)
    for claim in claims:
        done = claim.job.succeeded(clock.now(), engine="e", usage=Usage(1, 2))
        assert await delivery.settle(claim, Settlement(job=done, response=RESPONSE))

    each = {"SendMessageBatch": JOBS, "DeleteMessageBatch": JOBS}
    assert queue._service.calls == Counter({**each, "ChangeMessageVisibilityBatch": 1})
    assert queue._polls.calls == Counter({"ReceiveMessage": 2})
    assert table._service.calls == Counter(
        {
            # To add with the request; to end with the response.
            "TransactWriteItems": 2 * JOBS,
            # Queued; running.
            "UpdateItem": 2 * JOBS,
            # To claim it; to renew it.
            "GetItem": 2 * JOBS,
            # The request; whether its team has endpoints.
            "Query": 2 * JOBS,
        }
    )


async def test_a_write_that_was_tried_again_by_the_sdk_knows_itself(
    jobs: DocumentJobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = a_job()
    await jobs.add(new_job(job))
    monkeypatch.setattr("headpond.adapters.aws.table._by", lambda: "one write")
    queued = job.enqueued(1_000_001.0)
    assert await jobs.swap(queued)
    # As when the answer got lost: the same write once more.
    assert await jobs.swap(queued)
    monkeypatch.undo()
    assert not await jobs.swap(queued)


async def test_long_bodies_lie_in_pieces(jobs: DocumentJobStore) -> None:
    request, response = b'{"a":"%s"}' % (b"x" * 350_000), b'{"b":"%s"}' % (b"y" * 310_000)
    running: Job = a_job().claimed("w", 1_000_001.0)
    new = new_job(running)
    await jobs.add(type(new)(running, request))
    done = running.succeeded(1_000_002.0, engine="e", usage=Usage(1, 2))
    assert await jobs.swap(done, response)
    bodies = await jobs.bodies(done.id)
    assert bodies is not None
    assert (bodies.request, bodies.response) == (request, response)
    assert await jobs.erase(done.erased(1_000_003.0))
    assert await jobs.bodies(done.id) is None


async def test_an_interface_that_does_not_answer_is_unavailable(place: Place) -> None:
    nobody = Place(place.region, place.prefix, "http://127.0.0.1:9")
    async with connect("sqs", nobody, read_s=1, attempts=1) as service:
        with pytest.raises(Unavailable) as raised:
            await service.call("ListQueues")
    assert raised.value.code == "sqs_unavailable"


async def test_a_call_that_is_refused_for_good_is_unavailable_too(table: DynamoTable) -> None:
    with pytest.raises(Unavailable, match="ValidationException"):
        await table.get(Key(""))


async def test_nobody_has_no_table(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    calls._session.cache_clear()

    async def enter() -> None:
        async with open_table(place):
            pass

    with pytest.raises(SettingsError, match="Unable to locate credentials"):
        await enter()
    calls._session.cache_clear()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Place("-eu-", "p"), "region_name '-eu-' doesn't match"),
        (Place("eu-central-1", "p", "nonsense"), "Invalid endpoint: nonsense"),
    ],
)
async def test_a_place_that_cannot_be_is_told(wrong: Place, words: str) -> None:
    with pytest.raises(SettingsError, match=f"dynamodb cannot be used .*{words}.*in its URL"):
        async with open_table(wrong):
            pass


async def test_a_profile_that_is_not_there_is_told(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "typo")
    calls._session.cache_clear()
    with pytest.raises(SettingsError, match=r"profile \(typo\) could not be found.*AWS_PROFILE"):
        async with open_table(place):
            pass
    calls._session.cache_clear()


async def test_a_role_that_cannot_be_asked_for_now_is_unavailable(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/")
    calls._session.cache_clear()
    with pytest.raises(Unavailable, match="AWS does not answer: Error when retrieving credentials"):
        async with open_table(place):
            pass
    calls._session.cache_clear()


async def test_two_that_make_the_table_at_once_share_it(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    async def make() -> None:
        async with open_table(place) as table:
            assert await table.get(Key("a")) is None

    await asyncio.gather(make(), make())
    told = f"DynamoDB had no table {place.prefix}: it is made, and empty"
    assert [record.getMessage() for record in caplog.records].count(told) == 1


async def time_to_live_of(place: Place) -> Any:
    async with connect("dynamodb", place, read_s=5, attempts=1) as service:
        answer = await service.call("DescribeTimeToLive", TableName=place.prefix)
    return answer["TimeToLiveDescription"]


async def test_a_table_that_is_made_removes_what_has_expired(place: Place) -> None:
    async with open_table(place) as table:
        await table.write(Put({"pk": "a", "sk": "-", "expires": expires(1.0)}))
        item = (await table._call("GetItem", Key={"pk": {"S": "a"}, "sk": {"S": "-"}}))["Item"]
    assert item["expires"] == {"N": "345601"}
    assert await time_to_live_of(place) == {
        "TimeToLiveStatus": "ENABLED",
        "AttributeName": "expires",
    }


async def test_a_table_made_beforehand_stays_as_its_operator_made_it(place: Place) -> None:
    async with connect("dynamodb", place, read_s=5, attempts=1) as service:
        await service.call("CreateTable", TableName=place.prefix, **FORM)
    async with open_table(place) as table:
        assert table._service.calls == {"DescribeTable": 1}
    assert (await time_to_live_of(place))["TimeToLiveStatus"] == "DISABLED"


async def test_who_may_not_have_items_removed_makes_the_table_and_says_so(
    place: Place, moto: Moto, caplog: pytest.LogCaptureFixture
) -> None:
    may = ("dynamodb:DescribeTable", "dynamodb:CreateTable", "dynamodb:GetItem")
    async with moto.allowing(place, *may), open_table(place) as table:
        assert await table.get(Key("a")) is None
    told = [record.getMessage() for record in caplog.records]
    (refused,) = (words for words in told if "what has expired" in words)
    assert place.prefix in refused
    assert "UpdateTimeToLive" in refused
    assert "docs/backends.md" in refused


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("sqs://eu-central-1/pond", Place("eu-central-1", "pond")),
        (
            "dynamodb://eu-west-1/t?endpoint=http://127.0.0.1:8000",
            Place("eu-west-1", "t", "http://127.0.0.1:8000"),
        ),
    ],
)
def test_a_url_names_a_place(url: str, place: Place) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize("url", ["sqs://", "sqs://eu", "sqs://eu/a/b", "sqs://eu/a?x=y"])
def test_other_urls_name_none(url: str) -> None:
    with pytest.raises(ValueError, match="sqs://REGION/PREFIX"):
        place_of(url)
