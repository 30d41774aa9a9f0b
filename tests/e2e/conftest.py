"""What the end-to-end tests share."""

from collections.abc import AsyncGenerator

import pytest

from servers import Running, running_gateway


@pytest.fixture
async def running() -> AsyncGenerator[Running]:
    """A gateway, a worker and an engine."""
    async with running_gateway() as running:
        yield running
