"""From a checked request to a durable, queued job."""

import msgspec
import pytest

from headpond.domain.catalogue import Catalogue
from headpond.domain.facts import JobSubmitted
from headpond.domain.identity import Identity, Limits
from headpond.domain.lane import Lane, Priority
from headpond.domain.retry import RetryPolicy
from headpond.errors import InvalidRequest, NotFound, RateLimited, TooLarge
from headpond.services.submission import Order, Receipt
from headpond.settings import LimitSettings, PoolSettings
from tests.stages import Stage

TEAM = Identity("team", "search")
ORDER = Order(request=b"{}", prompt_chars=40, max_tokens=10)


def with_(order: Order, **changes: object) -> Order:
    return msgspec.structs.replace(order, **changes)


@pytest.fixture
def stage() -> Stage:
    return Stage(catalogue={"default": ["model"], "large": ["big"]})


async def submit(stage: Stage, order: Order = ORDER, identity: Identity = TEAM) -> Receipt:
    return await stage.parts.submission.submit(order, identity)


async def test_an_order_becomes_a_queued_job_of_its_team(stage: Stage) -> None:  # SPEC G7
    job = (await submit(stage)).job

    assert job.state == "queued"
    assert (job.team, job.feature) == ("team", "search")
    assert (job.pool, job.model) == ("default", "model")
    assert job.work_tokens == 20
    assert await stage.jobs.get(job.id) == job
    assert (await stage.queue.depth(Lane("default", Priority.BATCH))).ready == 1
    assert stage.recorder.facts == [JobSubmitted(job)]


async def test_the_model_chooses_the_pool_and_its_retries(stage: Stage) -> None:
    stage.parts.submission._pools["large"] = PoolSettings(retry=RetryPolicy(max_attempts=7))
    job = (await submit(stage, with_(ORDER, model="big", priority=Priority.INTERACTIVE))).job

    assert job.lane == Lane("large", Priority.INTERACTIVE)
    assert job.max_attempts == 7


async def test_a_job_has_the_weight_of_its_team(stage: Stage) -> None:  # SPEC Q8
    assert (await submit(stage)).job.weight == 1.0
    assert (await submit(stage, identity=Identity("heavy"))).job.weight == 3.0


async def test_a_model_that_nobody_serves_is_refused(stage: Stage) -> None:
    with pytest.raises(NotFound, match="'other' is not served"):
        await submit(stage, with_(ORDER, model="other"))
    assert await stage.empty()


async def test_without_a_default_a_model_must_be_named() -> None:
    stage = Stage(catalogue={"default": []})
    with pytest.raises(NotFound, match="no default model"):
        await submit(stage)


@pytest.mark.parametrize("early_s", [0.0, 1.0])
async def test_a_deadline_in_the_past_is_refused(stage: Stage, early_s: float) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await submit(stage, with_(ORDER, deadline=stage.clock.now() - early_s))
    assert raised.value.code == "deadline_in_the_past"
    assert await stage.empty()


async def test_the_same_key_and_body_lead_to_the_same_job(stage: Stage) -> None:
    keyed = with_(ORDER, idempotency_key="k", fingerprint="f")
    first = await submit(stage, keyed)
    again = await submit(stage, keyed)

    assert again.replayed
    assert again.job.id == first.job.id
    assert stage.recorder.facts[-1] == JobSubmitted(again.job, replayed=True)


async def test_a_replay_is_neither_checked_nor_charged_again() -> None:
    stage = Stage(
        catalogue={"default": ["model"]},
        limits=LimitSettings(default=Limits(requests_per_minute=1)),
    )
    keyed = with_(ORDER, model="model", deadline=1_000_010.0, idempotency_key="k", fingerprint="f")
    first = await submit(stage, keyed)
    stage.manual.advance(10)
    stage.parts.submission._catalogue = Catalogue({"default": ["another"]})
    again = await submit(stage, keyed)

    assert again.replayed
    assert again.job.id == first.job.id
    stage.manual.advance(50)
    await submit(stage)


async def test_one_key_twice_at_one_moment_is_one_job(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyed = with_(ORDER, idempotency_key="k", fingerprint="f")
    first = await submit(stage, keyed)

    async def not_yet(team: str, key: str) -> None:
        del team, key

    with monkeypatch.context() as patch:
        patch.setattr(stage.parts.submission, "_known", not_yet)
        again = await submit(stage, keyed)

    assert again.replayed
    assert again.job.id == first.job.id


async def test_the_same_key_with_another_body_is_refused(stage: Stage) -> None:
    await submit(stage, with_(ORDER, idempotency_key="k", fingerprint="f"))
    with pytest.raises(InvalidRequest) as raised:
        await submit(stage, with_(ORDER, idempotency_key="k", fingerprint="g"))
    assert raised.value.status == 422


async def test_the_one_that_comes_second_with_a_key_is_not_charged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = Limits(requests_per_minute=10, tokens_per_minute=100)
    stage = Stage(
        catalogue={"default": ["model"]},
        limits=LimitSettings(default=limits),
    )
    keyed = with_(ORDER, idempotency_key="k", fingerprint="f")
    before = (await submit(stage, keyed)).allowance

    async def not_yet(order: Order, identity: Identity) -> None:
        del order, identity

    monkeypatch.setattr(stage.parts.submission, "_known", not_yet)

    assert (await submit(stage, keyed)).allowance == before


async def test_a_retry_finds_the_job_of_its_first_try(stage: Stage) -> None:  # SPEC G7, B14
    tried = with_(ORDER, fingerprint="f", try_number=0)
    first = await submit(stage, tried)
    retry = await submit(stage, with_(tried, try_number=1))

    assert retry.replayed
    assert retry.job.id == first.job.id
    assert (await submit(stage, tried)).job.id != first.job.id


async def test_a_retry_is_not_charged() -> None:
    stage = Stage(limits=LimitSettings(default=Limits(requests_per_minute=1)))
    tried = with_(ORDER, fingerprint="f", try_number=0)
    first = await submit(stage, tried)

    assert (await submit(stage, with_(tried, try_number=1))).job.id == first.job.id


async def test_a_retry_after_the_window_is_a_new_job(stage: Stage) -> None:
    tried = with_(ORDER, fingerprint="f", try_number=0)
    first = await submit(stage, tried)
    stage.manual.advance(1_260)

    assert (await submit(stage, with_(tried, try_number=1))).job.id != first.job.id


async def test_what_was_refused_and_comes_again_is_not_its_twin() -> None:  # SPEC G7
    stage = Stage(limits=LimitSettings(default=Limits(requests_per_minute=1)))
    tried = with_(ORDER, fingerprint="f", try_number=0)
    first = await submit(stage, tried)
    with pytest.raises(RateLimited):
        await submit(stage, tried)
    stage.manual.advance(60)
    second = await submit(stage, with_(tried, try_number=1))

    assert second.job.id != first.job.id
    assert (await submit(stage, with_(tried, try_number=2))).job.id == second.job.id


async def test_a_key_is_forgotten_after_a_day(stage: Stage) -> None:
    keyed = with_(ORDER, idempotency_key="k", fingerprint="f")
    first = await submit(stage, keyed)
    await stage.work()
    stage.manual.advance(86_400)

    assert (await submit(stage, keyed)).job.id != first.job.id


async def test_two_teams_may_use_one_key(stage: Stage) -> None:
    keyed = with_(ORDER, idempotency_key="k", fingerprint="f")

    first = await submit(stage, keyed)
    assert (await submit(stage, keyed, Identity("other"))).job.id != first.job.id


async def test_what_the_limits_refuse_leaves_nothing_behind() -> None:
    stage = Stage(limits=LimitSettings(default=Limits(tokens_per_minute=30)))
    await submit(stage)
    with pytest.raises(RateLimited):
        await submit(stage)
    assert len(stage.recorder.facts) == 1


async def test_what_the_store_has_no_room_for_is_refused_and_not_charged() -> None:
    stage = Stage(limits=LimitSettings(default=Limits(requests_per_minute=1)))
    stage.parts.submission._max_request_bytes = 10
    large = with_(ORDER, request=b'{"a":"12345"}')
    with pytest.raises(TooLarge, match="has 13 bytes, and the store has room for 10") as raised:
        await submit(stage, large)
    assert (raised.value.status, raised.value.code) == (413, "body_too_large")
    with pytest.raises(TooLarge):
        stage.parts.submission.draft("0" * 32, large, TEAM)
    assert await stage.empty()
    await submit(stage, with_(ORDER, request=b'{"a":"12"}'))
