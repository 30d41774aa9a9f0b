"""What the end-to-end tests share."""

from collections.abc import AsyncGenerator

import pytest

from headpond.adapters.local.clock import SystemClock
from tests.servers import Running, running_gateway
from tests.stages import Stage


@pytest.fixture
async def running() -> AsyncGenerator[Running]:
    """A gateway, a worker and an engine."""
    async with running_gateway(Stage(clock=SystemClock())) as running:
        yield running
