"""Plain HTTP to an emulator: neither an adapter nor a provider's client is between."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp import web

from tests.emulators.serving import served


@dataclass(frozen=True, slots=True)
class Answer:
    """All of it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Ask = Callable[..., Awaitable[Answer]]


@asynccontextmanager
async def asking(app: web.Application, **headers: str) -> AsyncGenerator[Ask]:
    """Asks by method and path, and by whatever else aiohttp takes; the headers go with it."""
    async with served(app) as url, aiohttp.ClientSession(headers=headers) as session:

        async def ask(method: str, path: str, **options: Any) -> Answer:
            async with session.request(method, f"{url}{path}", **options) as answer:
                return Answer(answer.status, answer.headers, await answer.read())

        yield ask
