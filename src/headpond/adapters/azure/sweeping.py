"""Ends what other processes began and left, even where nobody comes by."""

import asyncio
import logging

from headpond.adapters.azure.container import Container
from headpond.adapters.azure.documents import Document, read
from headpond.adapters.azure.queries import OPEN
from headpond.adapters.azure.transactions import Transactions, is_note

EVERY_S = 30.0

log = logging.getLogger(__name__)


class Sweep:
    """One a process. No clocks are compared: what it has seen twice has stood for that long."""

    def __init__(self, container: Container) -> None:
        self._container = container
        self._transactions = Transactions(container)
        self._seen = frozenset[str]()

    async def run(self) -> None:
        """For as long as the process lives."""
        while True:
            try:
                await self.tick()
            except Exception:
                log.exception("a sweep of Cosmos DB ended early; the next one begins anew")
            await asyncio.sleep(EVERY_S)

    async def tick(self) -> None:
        """Settle what stands and stood the last time, each by itself. Raises Unavailable."""
        homes: dict[str, str] = {}
        left: dict[str, list[Document]] = {}
        rows = self._container.ask(OPEN, {"@none": ""})
        async for row in rows:
            txn = row["open"]
            homes[txn] = row["pk"] if is_note(row) else row["intent"]["home"]
            left.setdefault(txn, [])
            if not is_note(row):
                left[txn].append(read(row))
        seen, self._seen = self._seen, frozenset(homes)
        for txn in homes.keys() & seen:
            try:
                await self._transactions.settle(homes[txn], txn, left[txn])
            except Exception:
                log.exception("the transaction %s could not be ended; the next sweep tries", txn)
