"""Batches while everything is killed: made on and on, and read to the last line at the end."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp

LINES = 20
CHAT = "/v1/chat/completions"
BROKEN = (aiohttp.ClientError, OSError, TimeoutError, json.JSONDecodeError)


@dataclass
class BatchTally:
    """`made` are the batches that were answered with 200, each with its prefix of custom ids."""

    made: dict[str, str] = field(default_factory=dict)
    broken: int = 0


def _lines(prefix: str) -> bytes:
    return b"\n".join(
        json.dumps(
            {
                "custom_id": f"{prefix}-{number}",
                "method": "POST",
                "url": CHAT,
                "body": {
                    "model": "model",
                    "messages": [{"role": "user", "content": f"line {prefix}-{number}"}],
                    "max_tokens": 8,
                },
            }
        ).encode()
        for number in range(LINES)
    )


class BatchClient:
    """One client that makes batches."""

    def __init__(self, session: aiohttp.ClientSession, url: str, tally: BatchTally) -> None:
        self._session = session
        self._url = url
        self._tally = tally

    async def make_on_and_on(self, goes_on: Callable[[], bool]) -> None:
        """A batch after the other; where no answer comes, another one of the same file."""
        number = 0
        while goes_on():
            number += 1
            prefix = f"batch-{number}"
            file = await self._insist(lambda prefix=prefix: self._upload(prefix))
            batch = await self._insist(lambda file=file: self._create(file["id"]))
            self._tally.made[batch["id"]] = prefix

    async def check(self) -> dict[str, int]:
        """What is wrong with the batches that were made; all of them have ended."""
        faults = Counter({"batches that did not complete": 0, "batches with other lines": 0})
        for batch_id, prefix in self._tally.made.items():
            batch = await self._insist(lambda path=f"/v1/batches/{batch_id}": self._get(path))
            if batch["status"] != "completed" or batch["request_counts"]["completed"] != LINES:
                faults["batches that did not complete"] += 1
                continue
            path = f"/v1/files/{batch['output_file_id']}/content"
            text = await self._insist(lambda path=path: self._read(path))
            told = sorted(json.loads(line)["custom_id"] for line in text.splitlines())
            if told != sorted(f"{prefix}-{number}" for number in range(LINES)):
                faults["batches with other lines"] += 1
        return dict(faults)

    async def _upload(self, prefix: str) -> Any:
        form = aiohttp.FormData({"purpose": "batch"})
        form.add_field("file", _lines(prefix), filename=f"{prefix}.jsonl")
        async with self._session.post(f"{self._url}/v1/files", data=form) as response:
            return await _answer(response)

    async def _create(self, file_id: str) -> Any:
        body = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h"}
        async with self._session.post(f"{self._url}/v1/batches", json=body) as response:
            return await _answer(response)

    async def _get(self, path: str) -> Any:
        async with self._session.get(self._url + path) as response:
            return await _answer(response)

    async def _read(self, path: str) -> Any:
        async with self._session.get(self._url + path) as response:
            response.raise_for_status()
            return await response.text()

    async def _insist(self, request: Callable[[], Awaitable[Any]]) -> Any:
        for _ in range(1000):
            try:
                return await request()
            except BROKEN:
                self._tally.broken += 1
                await asyncio.sleep(0.1)
        raise TimeoutError("the gateway does not answer any more")


async def _answer(response: aiohttp.ClientResponse) -> Any:
    response.raise_for_status()
    return await response.json()
