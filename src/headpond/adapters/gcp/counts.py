"""How many messages of a subscription are not acknowledged, as Cloud Monitoring has it.

Pub/Sub itself counts for nobody. Monitoring samples once a minute and shows that minutes later
(Google Cloud, metrics list: `subscription/num_undelivered_messages`).
"""

import asyncio
import math
import os
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.api_core import exceptions
from google.auth import exceptions as auth_exceptions
from google.cloud.monitoring_v3 import MetricServiceAsyncClient
from google.cloud.monitoring_v3 import types as monitoring
from google.cloud.monitoring_v3.services.metric_service.transports.grpc_asyncio import (
    MetricServiceGrpcAsyncIOTransport,
)

from headpond.errors import Unavailable

METRIC = "pubsub.googleapis.com/subscription/num_undelivered_messages"
LOOK_BACK_S = 600
HOLDS_S = 20.0
"""How long a count is not asked for again: there is a new one each minute, and asking costs."""

CALL_S = 10.0


class UndeliveredCounts:
    """Of the subscriptions of a project."""

    def __init__(self, client: Any, project: str) -> None:
        self._client = client
        self._project = project
        self._known: dict[str, tuple[float, int | str]] = {}

    async def of(self, subscription: str) -> int:
        """The latest count. Raises Unavailable where there is none of the last ten minutes."""
        now = asyncio.get_running_loop().time()
        at, known = self._known.get(subscription, (-math.inf, ""))
        if now - at >= HOLDS_S:
            known = await self._ask(subscription)
            self._known[subscription] = (now, known)
        if isinstance(known, int):
            return known
        message = "Cloud Monitoring, which counts for Pub/Sub, has no count."
        raise Unavailable(message, why=f"{subscription}{known}", code="pubsub_unavailable")

    async def _ask(self, subscription: str) -> int | str:
        """The count, or why there is none."""
        until = int(time.time())
        request = monitoring.ListTimeSeriesRequest(
            name=f"projects/{self._project}",
            filter=(
                f'metric.type = "{METRIC}" AND resource.labels.subscription_id = "{subscription}"'
            ),
            interval=monitoring.TimeInterval(
                start_time={"seconds": until - LOOK_BACK_S}, end_time={"seconds": until}
            ),
            view=monitoring.ListTimeSeriesRequest.TimeSeriesView.FULL,
        )
        try:
            pages = await self._client.list_time_series(request, retry=None, timeout=CALL_S)
            series = [one async for one in pages]
        except (exceptions.GoogleAPIError, auth_exceptions.GoogleAuthError) as error:
            return f": {error}"
        points = [point for one in series for point in one.points]
        # The latest comes first.
        return points[0].value.int64_value if points else " yet"


@asynccontextmanager
async def open_counts(project: str) -> AsyncGenerator[UndeliveredCounts]:
    """Beside an emulator (`PUBSUB_EMULATOR_HOST`) that itself is asked, if it can count."""
    emulator = os.environ.get("PUBSUB_EMULATOR_HOST")
    client = (
        MetricServiceAsyncClient()
        if emulator is None
        else MetricServiceAsyncClient(
            transport=MetricServiceGrpcAsyncIOTransport(channel=grpc.aio.insecure_channel(emulator))
        )
    )
    try:
        yield UndeliveredCounts(client, project)
    finally:
        await client.transport.close()
