"""A receiver of webhooks that answers, now and then, that it cannot."""

import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

FAILS = 0.05
"""Two in a row cost the receiver a second without calls: at one in five the calls take longer than
all that comes before them."""


@dataclass
class Inbox:
    """`told` maps the ids of jobs to the webhook ids that the receiver accepted."""

    url: str = ""
    told: dict[str, set[str]] = field(default_factory=dict)
    refused: int = 0


@asynccontextmanager
async def receiving(port: int, dice: random.Random) -> AsyncGenerator[Inbox]:
    """Listen on a port of this machine."""
    inbox = Inbox(f"http://127.0.0.1:{port}/told")

    async def told(request: web.Request) -> web.Response:
        event = await request.json()
        if dice.random() < FAILS:
            inbox.refused += 1
            return web.Response(status=500)
        inbox.told.setdefault(event["data"]["id"], set()).add(request.headers["webhook-id"])
        return web.Response()

    app = web.Application()
    app.router.add_post("/told", told)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield inbox
    finally:
        await runner.cleanup()
