"""Endpoints as services see them; `tests/unit/gateway/test_webhooks.py` has the rest."""

import pytest

from headpond.domain.webhook_endpoint import Endpoint
from headpond.domain.webhook_event import EventType
from headpond.errors import InvalidRequest
from tests.stages import Stage

URL = "https://example.com/hook"
ONE = (EventType.JOB_SUCCEEDED,)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_a_change_that_meets_another_keeps_both(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = await stage.webhooks.create("team", url=URL, event_types=ONE)
    swap = stage.endpoints.swap

    async def rotated_first(after: Endpoint) -> bool:
        monkeypatch.setattr(stage.endpoints, "swap", swap)
        await stage.webhooks.rotate("team", endpoint.id)
        return await swap(after)

    monkeypatch.setattr(stage.endpoints, "swap", rotated_first)
    updated = await stage.webhooks.update("team", endpoint.id, name="renamed")
    assert (updated.name, len(updated.signers)) == ("renamed", 2)
    assert await stage.webhooks.endpoint("team", endpoint.id) == updated


async def test_an_endpoint_for_no_event_at_all_is_refused(stage: Stage) -> None:
    endpoint = await stage.webhooks.create("team", url=URL, event_types=ONE)
    with pytest.raises(InvalidRequest) as raised:
        await stage.webhooks.update("team", endpoint.id, event_types=())
    assert raised.value.param == "event_types"
