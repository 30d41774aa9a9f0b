"""Our metadata services answer whom the clouds' own do, as their documentation says.

Each test names the page that it follows.
"""

from collections.abc import AsyncIterator

import pytest

from tests.emulators.metadata_server import MACHINE, TASK, Metadata
from tests.unit.emulators.asking import Ask, asking

TOKEN, TTL = "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds"
SPOT = "/latest/meta-data/spot/instance-action"
EVENTS = "/metadata/scheduledevents"
PREEMPTED = "/computeMetadata/v1/instance/preempted"


@pytest.fixture
def metadata() -> Metadata:
    return Metadata()


@pytest.fixture
async def ask(metadata: Metadata) -> AsyncIterator[Ask]:
    async with asking(metadata.app()) as ask:
        yield ask


async def test_ec2_wants_a_token_that_was_put(ask: Ask, metadata: Metadata) -> None:
    """Amazon EC2: Use the Instance Metadata Service; Spot Instance interruption notices."""
    assert (await ask("GET", SPOT)).status == 401
    assert (await ask("GET", SPOT, headers={TOKEN: "guessed"})).status == 401
    token = (await ask("PUT", "/latest/api/token", headers={TTL: "21600"})).body.decode()
    assert (await ask("GET", SPOT, headers={TOKEN: token})).status == 404
    metadata.spot_action = {"action": "stop", "time": "2030-01-31T12:00:00Z"}
    assert (await ask("GET", SPOT, headers={TOKEN: token})).json == metadata.spot_action


@pytest.mark.parametrize("headers", [{}, {TTL: "0"}, {TTL: "21601"}], ids=str)
async def test_a_token_of_ec2_lives_for_six_hours_at_most(
    ask: Ask, headers: dict[str, str]
) -> None:
    """Amazon EC2: Use the Instance Metadata Service."""
    assert (await ask("PUT", "/latest/api/token", headers=headers)).status == 400


async def test_azure_wants_its_header_and_a_version(ask: Ask) -> None:
    """Scheduled Events for Linux VMs in Azure; Azure Instance Metadata Service."""
    ours, version = {"Metadata": "true"}, {"api-version": "2020-07-01"}
    assert (await ask("GET", EVENTS, params=version)).status == 400
    assert (await ask("GET", EVENTS, headers=ours)).status == 400
    events = await ask("GET", EVENTS, params=version, headers=ours)
    assert events.json == {"DocumentIncarnation": 1, "Events": []}
    as_text = version | {"format": "text"}
    name = await ask("GET", "/metadata/instance/compute/name", params=as_text, headers=ours)
    assert name.body.decode() == MACHINE


async def test_google_wants_its_header(ask: Ask, metadata: Metadata) -> None:
    """Compute Engine: About VM metadata; Spot VMs."""
    ours = {"Metadata-Flavor": "Google"}
    assert (await ask("GET", PREEMPTED)).status == 403
    assert (await ask("GET", PREEMPTED, headers=ours)).body == b"FALSE"
    metadata.preempted = True
    assert (await ask("GET", PREEMPTED, headers=ours)).body == b"TRUE"


async def test_a_task_of_ecs_is_told_its_arn(ask: Ask) -> None:
    """Amazon ECS task metadata endpoint version 4."""
    assert (await ask("GET", "/v4/task")).json["TaskARN"].endswith(f":task/models/{TASK}")
