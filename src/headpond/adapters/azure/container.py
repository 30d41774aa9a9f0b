"""Calls of one container of Cosmos DB: where the SDK's errors become ours.

What the service has too much of (429) the SDK sends again after the time that it is told, within
the bounds of `account.py`. A batch may be told so operation by operation; that is waited for here.
"""

import asyncio
import math
import random
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from azure.core.exceptions import AzureError
from azure.cosmos import exceptions

from headpond.adapters.azure.documents import Json
from headpond.errors import Unavailable
from headpond.ports.clock import Clock

BUSY_TRIES = 6
BUSY_S = 0.1
LONGEST_PAUSE_S = 1.0
PAGE = 100

LONGEST_TTL_S = 2**31 - 1
"""Cosmos DB's limit."""

CHANGED = frozenset({404, 409, 412})
"""Gone, there already, another etag: a document is not as it was when it was read."""

RETRY_WITH = 449
BUSY = frozenset({429, RETRY_WITH})
"""Too many requests; others were at the same documents in that moment."""

Operation = tuple[str, tuple[Any, ...], Json]


class Refused(Exception):
    """Nothing of the batch was written, because a document is not as it was."""


def create(json: Json) -> Operation:
    """Write a document iff there is none."""
    return "create", (json,), {}


def replace(json: Json, etag: str) -> Operation:
    """Write a document in the place of the one that was read."""
    return "replace", (json["id"], json), {"if_match_etag": etag}


def delete(document_id: str, etag: str) -> Operation:
    """Remove the document that was read."""
    return "delete", (document_id,), {"if_match_etag": etag}


class Container:
    """All raise Unavailable."""

    def __init__(self, proxy: Any, clock: Clock) -> None:
        self._proxy = proxy
        self._clock = clock

    async def read(self, pk: str, document_id: str) -> Json | None:
        """A document, None if there is none."""
        try:
            return await self._proxy.read_item(document_id, partition_key=pk)
        except exceptions.CosmosResourceNotFoundError as error:
            if _is_more(error):
                raise away(error) from error
            return None
        except AzureError as error:
            raise away(error) from error

    async def ask(
        self,
        query: str,
        parameters: Mapping[str, str],
        *,
        pk: str | None = None,
        at_once: int = PAGE,
    ) -> AsyncGenerator[Json]:
        """What a query finds, in one partition or in all, page by page as it is read."""
        rows = self._proxy.query_items(
            query,
            parameters=[{"name": name, "value": value} for name, value in parameters.items()],
            max_item_count=at_once,
            **({} if pk is None else {"partition_key": pk}),
        )
        try:
            async for row in rows:
                yield row
        except AzureError as error:
            raise away(error) from error

    async def write(self, pk: str, operations: Sequence[Operation]) -> list[str]:
        """All of the operations or none, in one partition. Raises Refused.

        Returns the etag of each document, or nothing: for one that was removed, and where the
        service does not say it.
        """
        for attempt in range(BUSY_TRIES):
            # The SDK takes the options apart.
            asked = [
                (name, tuple(map(self._timed, given)), dict(options))
                for name, given, options in operations
            ]
            try:
                answers = await self._proxy.execute_item_batch(asked, partition_key=pk)
            except exceptions.CosmosBatchOperationError as error:
                if error.status_code in CHANGED:
                    raise Refused(str(error)) from error
                if error.status_code not in BUSY or attempt == BUSY_TRIES - 1:
                    raise away(error) from error
                await pause(max(BUSY_S, _told_s(error)), attempt)
            except exceptions.CosmosHttpResponseError as error:
                # The SDK has sent it again by then, where it is too much; but not where others met.
                if error.status_code != RETRY_WITH or attempt == BUSY_TRIES - 1:
                    raise away(error) from error
                await pause(BUSY_S, attempt)
            except AzureError as error:
                raise away(error) from error
            else:
                return [answer.get("eTag", "") for answer in answers]
        raise AssertionError  # pragma: no cover - the last try has raised

    def _timed(self, given: str | Json) -> str | Json:
        """A document that expires is told how long it still has, from this write on."""
        if isinstance(given, str) or "expires" not in given:
            return given
        left_s = math.ceil(given["expires"] - self._clock.now())
        return {**given, "ttl": min(max(1, left_s), LONGEST_TTL_S)}


def away(error: Exception) -> Unavailable:
    """What may work later."""
    return Unavailable(
        "Cosmos DB does not answer.", why=first_line(error)[:300], code="cosmos_unavailable"
    )


def first_line(error: Exception) -> str:
    """What it says, or what it is: some say nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _is_more(error: Any) -> bool:
    """Whether more is missing than a document: the container, a session."""
    return bool(error.sub_status)


def _told_s(error: Any) -> float:
    return int(error.headers.get("x-ms-retry-after-ms", 0)) / 1000


async def pause(first_s: float, attempt: int) -> None:
    """Twice as long each time, and never quite as long as others."""
    await asyncio.sleep(min(first_s * 2**attempt, LONGEST_PAUSE_S) * (0.5 + random.random()))
