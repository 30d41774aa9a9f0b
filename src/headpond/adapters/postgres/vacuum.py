"""Vacuuming `messages` while it is drained.

A message that is taken leaves an entry in the index of those that are ready, where the next receipt
begins to look. The server's own vacuum comes by once a minute (`autovacuum_naptime`), and by then a
receipt walks past all that were taken in that minute: it takes nearly twice as long after fifty
thousand. So whoever receives has them vacuumed, too.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from headpond.adapters.postgres.connection import FAILURES, Connection, run
from headpond.errors import HeadpondError, told

log = logging.getLogger(__name__)

EVERY = 30_000
"""Messages between two vacuums. One reads the index of all that wait, so it is not to come often
when millions do."""

WITHIN_S = 3600.0


class Vacuum:
    """On a connection of its own, so that nobody waits for it and it may take its time."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._taken = 0
        self._running: asyncio.Task[None] | None = None

    def count(self, taken: int) -> None:
        """Messages were received."""
        self._taken += taken
        if self._taken >= EVERY and (self._running is None or self._running.done()):
            self._taken = 0
            self._running = asyncio.create_task(self._run(), name="vacuum")

    async def close(self) -> None:
        """Give up what is running: the server undoes nothing that matters."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        try:
            connection = await self._connect()
            try:
                await run(connection, "vacuum_messages")
            finally:
                connection.terminate()
        except (HeadpondError, *FAILURES) as error:
            log.info("messages were not vacuumed: %s", told(error))
