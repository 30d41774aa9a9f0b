"""An engine behind OpenAI's chat-completion interface.

What a failure means, beyond what a complete response says (see `wire`):

    refused, unresolved, unreachable                NotNow   nobody is there
    connection lost before or within the answer     Died     while it may have run the request
    a stream that ends without saying so            Died     the same
    a 500 or no answer in time, and then not        Died     the same: vLLM answers all that was
    healthy                                                  in flight with 500 when its core dies
    no answer in time, garbage, an endless answer   Broke    this request's own

Nothing is retried here: a retry is the queue's business, where it is seen and counted.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import TypeAlias

import aiohttp
from typing_extensions import override

from headpond.adapters.openai.chunks import StreamedAnswer, streamed
from headpond.adapters.openai.gauges import read_gauges
from headpond.adapters.openai.silence import Silence
from headpond.adapters.openai.wire import read_models, read_response, with_model
from headpond.domain.outcome import Broke, Died, NotNow, Outcome
from headpond.ports.engine import Engine, Gauges, Tell

Reading: TypeAlias = Callable[[aiohttp.ClientResponse], Awaitable[Outcome]]

log = logging.getLogger(__name__)

SICK = ("engine_error", "engine_timeout")
"""Failures that are the request's own only if the engine is well."""

MAX_RESPONSE_BYTES = 32 * 1024 * 1024
CONNECT_TIMEOUT_S = 10.0
PROBE_TIMEOUT_S = 5.0

PROBE_CONNECTIONS = 4
"""On top of those for completions, so that a full engine can still be asked how it is."""

KEEPALIVE_S = 4.0
"""Below the 5 s of uvicorn (vLLM) and llama.cpp: whoever closes first must not be the engine, or
a request now and then meets a connection that is just going away."""


class OpenAIEngine(Engine):
    """One server at `base_url`, which may end in `/v1` or not.

    `timeout_s` bounds one completion, the wait for a connection included, so `max_connections`
    should be no less than the requests that are kept in flight.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 600.0,
        max_connections: int = 256,
    ) -> None:
        self._name = name
        self._root = base_url.rstrip("/").removesuffix("/v1").rstrip("/")
        self._headers = {"Accept-Encoding": "identity"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._timeout_s = timeout_s
        self._max_connections = max_connections
        self._open_session: aiohttp.ClientSession | None = None
        self._told_missing_kv = False
        # Without what may be a password in it.
        self._shown = re.sub(r"//.*@", "//", self._root)
        self._silence = Silence(name, self._shown)
        self._why = ""
        """Why there was no answer, the last time that there was none."""

    @property
    @override
    def name(self) -> str:
        return self._name

    @override
    async def complete(self, model: str, request: bytes) -> Outcome:
        return await self._judged(self._ask(with_model(request, model), _whole))

    @override
    async def stream(self, model: str, request: bytes, tell: Tell) -> Outcome:
        async def told(response: aiohttp.ClientResponse) -> Outcome:
            return await _streamed(response, tell)

        return await self._judged(self._ask(streamed(with_model(request, model)), told))

    async def _judged(self, asking: Awaitable[Outcome]) -> Outcome:
        """The outcome, whose failure may be the engine's end rather than the request's fault."""
        outcome = await asking
        if isinstance(outcome, Broke) and outcome.code in SICK and not await self.healthy():
            return Died(outcome.reason)
        return outcome

    @override
    async def healthy(self) -> bool:
        status, _ = await self._get("/health")
        if status in (404, 405):  # not every server has one; all list their models
            status, _ = await self._get("/v1/models")
        if status == 200:  # noqa: PLR2004
            self._silence.broken()
            return True
        self._silence.lasts(self._why if status is None else f"it answers HTTP {status}")
        return False

    @override
    async def models(self) -> list[str]:
        _, body = await self._get("/v1/models")
        return read_models(body)

    @override
    async def gauges(self) -> Gauges:
        status, page = await self._get("/metrics")
        gauges = read_gauges(page)
        if gauges.kv_usage is None and status is not None and status < 500:  # noqa: PLR2004
            self._tell_missing_kv(page)
        return gauges

    @override
    async def close(self) -> None:
        if self._open_session is not None:
            await self._open_session.close()
            self._open_session = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        # Opened at first use: aiohttp wants a running loop, and the constructor may have none.
        if self._open_session is None:
            self._open_session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=self._max_connections + PROBE_CONNECTIONS,
                    keepalive_timeout=KEEPALIVE_S,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            )
        return self._open_session

    async def _ask(self, body: bytes, read: Reading) -> Outcome:
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._session.post(
                    f"{self._root}/v1/chat/completions",
                    data=body,
                    headers={"Content-Type": "application/json"},
                    allow_redirects=False,
                ) as response,
            ):
                return await read(response)
        except _TooLarge:
            return Broke(f"The answer is over {MAX_RESPONSE_BYTES} bytes.", "engine_garbage")
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError):
            return NotNow("The engine cannot be reached.")  # The log says why: it is asked again.
        except TimeoutError:
            return Broke(f"No answer within {self._timeout_s:g} s.", "engine_timeout")
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
            self._tell_broken(error)
            return Died("The connection to the engine broke off.")
        except aiohttp.ClientError as error:
            self._tell_broken(error)
            return Broke("The engine does not speak HTTP.", "engine_garbage")

    async def _get(self, path: str) -> tuple[int | None, bytes]:
        """Status and body; no status and no body when the engine does not answer."""
        try:
            async with (
                asyncio.timeout(PROBE_TIMEOUT_S),
                self._session.get(self._root + path, allow_redirects=False) as response,
            ):
                return response.status, await _read(response)
        except (_TooLarge, TimeoutError, aiohttp.ClientError) as error:
            self._why = _reason(error)
            return None, b""

    def _tell_broken(self, error: aiohttp.ClientError) -> None:
        """To the log alone: where the engine is concerns nobody whose job it runs."""
        log.warning("engine %s at %s: %s", self._name, self._shown, _reason(error))

    def _tell_missing_kv(self, page: bytes) -> None:
        # llama.cpp gives each slot its own fixed share of the cache: there is nothing to watch.
        if self._told_missing_kv or b"\nllamacpp:" in page:
            return
        self._told_missing_kv = True
        log.warning(
            "engine %s shows neither vllm:kv_cache_usage_perc nor vllm:gpu_cache_usage_perc at "
            "%s/metrics: its KV cache cannot be watched, only max_in_flight protects it",
            self._name,
            self._shown,
        )


class _TooLarge(Exception):
    """A body went over the bound; the connection is closed, not drained."""


async def _whole(response: aiohttp.ClientResponse) -> Outcome:
    return read_response(response.status, response.headers, await _read(response))


async def _streamed(response: aiohttp.ClientResponse, tell: Tell) -> Outcome:
    # Refusals come whole, and so do the answers of a server that does not stream.
    if response.status != HTTPStatus.OK or response.content_type != "text/event-stream":
        return await _whole(response)
    answer = StreamedAnswer(tell, response.headers)
    async for chunk in _chunks(response):
        answer.feed(chunk)
    return answer.outcome()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in _chunks(response):
        body += chunk
    return bytes(body)


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_RESPONSE_BYTES:
            response.close()
            raise _TooLarge
        yield chunk


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
