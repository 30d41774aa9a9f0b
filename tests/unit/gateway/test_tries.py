"""What an SDK repeats by itself is one job, without a key. SPEC G7, B14."""

import pytest

from tests.stages import Stage

BODIES = {
    "/jobs": {"prompt": "a"},
    "/v1/chat/completions": {"model": "model", "messages": [{"role": "user", "content": "a"}]},
    "/v1/responses": {"model": "model", "input": "a", "background": True},
}
SDK = {"user-agent": "AsyncOpenAI/Python 3.0", "x-stainless-lang": "python", "x-headpond-wait": "0"}


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def submit(stage: Stage, url: str, **headers: str) -> None:
    given = SDK | {name.replace("_", "-"): value for name, value in headers.items()}
    await stage.request("POST", url, BODIES[url], headers=given)


@pytest.mark.parametrize("url", BODIES)
async def test_a_retry_makes_no_second_job(stage: Stage, url: str) -> None:
    await submit(stage, url, x_stainless_retry_count="0")
    await submit(stage, url, x_stainless_retry_count="1")
    await submit(stage, url, x_stainless_retry_count="2")
    assert len(stage.jobs._records) == 1


async def test_two_first_tries_are_two_jobs(stage: Stage) -> None:
    await submit(stage, "/jobs", x_stainless_retry_count="0")
    await submit(stage, "/jobs", x_stainless_retry_count="0")
    assert len(stage.jobs._records) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"x_stainless_lang": "js"},
        {"user_agent": "OpenAI/Python 3.0"},
        {"x_stainless_retry_count": "one"},
        {"x_stainless_retry_count": ""},
    ],
)
async def test_another_client_retries_nothing_of_ours(stage: Stage, other: dict[str, str]) -> None:
    await submit(stage, "/jobs", x_stainless_retry_count="0")
    await submit(stage, "/jobs", **({"x_stainless_retry_count": "1"} | other))
    assert len(stage.jobs._records) == 2


async def test_another_team_retries_nothing_of_ours(stage: Stage) -> None:
    for team, number in (("one", "0"), ("two", "1")):
        secret = (await stage.keys.create(team)).secret
        headers = {"authorization": f"Bearer {secret}", "x_stainless_retry_count": number}
        await submit(stage, "/jobs", **headers)
    assert len(stage.jobs._records) == 2


async def test_another_key_of_the_team_is_the_same_client(stage: Stage) -> None:
    # A token may be renewed between two tries.
    for number in ("0", "1"):
        secret = (await stage.keys.create("team")).secret
        headers = {"authorization": f"Bearer {secret}", "x_stainless_retry_count": number}
        await submit(stage, "/jobs", **headers)
    assert len(stage.jobs._records) == 1


async def test_a_key_goes_before_the_count(stage: Stage) -> None:
    await submit(stage, "/jobs", idempotency_key="k", x_stainless_retry_count="0")
    await submit(stage, "/jobs", idempotency_key="l", x_stainless_retry_count="1")
    await submit(stage, "/jobs", x_stainless_retry_count="1")
    assert len(stage.jobs._records) == 3
