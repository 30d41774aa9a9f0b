"""Serves an emulator, and has its calls fail."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler

from headpond.testing.fleet_suite import Fate


class Trouble:
    """What becomes of the next calls."""

    def __init__(self) -> None:
        self._fates: list[Fate] = []

    def __call__(self, fates: Sequence[Fate]) -> None:
        self._fates = list(fates)

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answers as its fate is."""
        fate = self._fates.pop(0) if self._fates else Fate.ANSWERED
        answer = None if fate is Fate.REFUSED else await handler(request)
        if answer is not None and fate is Fate.ANSWERED:
            return answer
        return web.json_response({"message": "away"}, status=503)


@asynccontextmanager
async def served(app: web.Application) -> AsyncGenerator[str]:
    """Its address, on a free port."""
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{site.port}"
    finally:
        await runner.cleanup()
