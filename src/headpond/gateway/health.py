"""/healthz, /readyz and /metrics: for probes and scrapers, who have no key."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp

from headpond.domain.identity import LOCAL_TEAM, Identity
from headpond.domain.lane import Lane
from headpond.errors import Unavailable
from headpond.gateway.endpoint import Answer, Call, Operation
from headpond.gateway.reply import json_reply
from headpond.ports.clock import Clock
from headpond.ports.jobs import JobQuery
from headpond.ports.outbox import Outbox
from headpond.ports.queue import Queue
from headpond.services.desk import Desk

READY_TIMEOUT_S = 5.0
DEPTH_TTL_S = 2.0
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Health(msgspec.Struct, frozen=True):
    status: Literal["ok"] = "ok"


class HealthRoutes:
    """`render_metrics` gives the process's own metrics as Prometheus text."""

    def __init__(
        self,
        desk: Desk,
        queue: Queue,
        lanes: Sequence[Lane],
        render_metrics: Callable[[], bytes],
        *,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._desk = desk
        self._queue = queue
        self._lanes = lanes
        self._outbox = outbox
        self._clock = clock
        self._render_metrics = render_metrics
        self._depths_text = b""
        self._depths_at = -math.inf

    def operations(self) -> list[Operation]:
        """All public."""
        return [
            Operation(
                method="GET",
                path="/healthz",
                handler=self._alive,
                summary="Whether the process answers",
                answer=Answer(type=Health),
                public=True,
            ),
            Operation(
                method="GET",
                path="/readyz",
                handler=self._ready,
                summary="Whether the store answers",
                answer=Answer(type=Health),
                public=True,
            ),
            Operation(
                method="GET",
                path="/metrics",
                handler=self._metrics,
                summary="Prometheus metrics",
                answer=Answer(media="text/plain", description="Prometheus text."),
                public=True,
            ),
        ]

    async def _alive(self, call: Call) -> ASGIApp:
        del call
        return json_reply(Health())

    async def _ready(self, call: Call) -> ASGIApp:
        del call
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                await self._desk.find(JobQuery(limit=1), Identity(LOCAL_TEAM))
        except TimeoutError as error:
            message = f"The store did not answer within {READY_TIMEOUT_S:.0f} seconds."
            raise Unavailable(message, code="store_unavailable") from error
        return json_reply(Health())

    async def _metrics(self, call: Call) -> ASGIApp:
        del call
        text = self._render_metrics() + await self._depths()
        return Response(text, headers={"content-type": METRICS_TYPE})

    async def _depths(self) -> bytes:
        """Gauges, at most as old as `DEPTH_TTL_S`: to count a long lane costs the store time.

        A queue that does not answer has no depth: unknown is not zero.
        """
        now = asyncio.get_running_loop().time()
        if now - self._depths_at >= DEPTH_TTL_S:
            self._depths_at, self._depths_text = now, await self._read_depths()
        return self._depths_text

    async def _read_depths(self) -> bytes:
        try:
            depths = [(lane, await self._queue.depth(lane)) for lane in self._lanes]
            untold = await self._outbox.untold()
        except Unavailable:
            return b""
        lines = ["# TYPE headpond_queue_depth gauge"]
        for lane, depth in depths:
            for state in ("ready", "leased", "delayed"):
                labels = f'{{{_labels(lane)},state="{state}"}}'
                lines.append(f"headpond_queue_depth{labels} {getattr(depth, state)}")
        lines.append("# TYPE headpond_queue_oldest_age_seconds gauge")
        lines += [
            f"headpond_queue_oldest_age_seconds{{{_labels(lane)}}} {depth.oldest_age_s}"
            for lane, depth in depths
            if depth.oldest_age_s is not None
        ]
        lines += [
            "# TYPE headpond_webhooks_pending gauge",
            f"headpond_webhooks_pending {untold.pending}",
        ]
        if untold.oldest_at is not None:
            oldest_age_s = self._clock.now() - untold.oldest_at
            lines += [
                "# TYPE headpond_webhooks_oldest_age_seconds gauge",
                f"headpond_webhooks_oldest_age_seconds {oldest_age_s}",
            ]
        return "\n".join([*lines, ""]).encode()


def _labels(lane: Lane) -> str:
    pool = lane.pool.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'pool="{pool}",priority="{lane.priority}"'
