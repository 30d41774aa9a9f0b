"""A client of the gateway's job API and of its batches.

Errors are the product's own: what the gateway refused is a `RequestError`, what may work later a
`TryLater`. Nothing is retried here.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import aiohttp
import msgspec

from headpond.domain.batch import BatchStatus
from headpond.domain.job import JobError, JobState, Usage
from headpond.domain.lane import Priority
from headpond.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    RateLimited,
    RequestError,
    TryLater,
    Unauthenticated,
    Unavailable,
)

T = TypeVar("T")

CONNECTIONS = 64
CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 60.0
LONG_POLL_S = 30.0
PIECE = 262_144

STREAM_TIMEOUT = aiohttp.ClientTimeout(
    total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=ANSWER_TIMEOUT_S
)
"""Of a file that is sent or read: however long it takes, as long as something comes."""

JobBody = Mapping[str, object]
"""The body of POST /jobs."""


class RemoteJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job as the gateway shows it. Lists leave `result` and `text` out."""

    job_id: str
    status: JobState
    model: str
    pool: str
    priority: Priority
    feature: str | None
    task_type: str | None
    metadata: dict[str, str]
    attempts: int
    max_attempts: int
    deadline: float | None
    accepted_at: float
    queued_at: float | None
    started_at: float | None
    finished_at: float | None
    model_version: str | None = None
    usage: Usage | None
    confidence: float | None
    cached: bool = False
    error: JobError | None
    last_error: JobError | None = None
    text: str | None = None
    result: dict[str, object] | None = None


class RemoteCounts(msgspec.Struct, frozen=True):
    total: int
    completed: int
    failed: int


class RemoteFault(msgspec.Struct, frozen=True):
    """Why a batch cannot be run; `line` counts from 1, None where it is the whole file."""

    code: str
    message: str
    param: str | None
    line: int | None


class RemoteFaults(msgspec.Struct, frozen=True):
    data: list[RemoteFault]


class RemoteBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as the gateway shows it. Times are Unix seconds."""

    id: str
    status: BatchStatus
    endpoint: str
    completion_window: str
    model: str | None
    input_file_id: str
    output_file_id: str | None
    error_file_id: str | None
    request_counts: RemoteCounts
    errors: RemoteFaults | None
    created_at: int
    expires_at: int


class _File(msgspec.Struct):
    id: str


class _BatchList(msgspec.Struct):
    data: list[RemoteBatch]


class _Accepted(msgspec.Struct):
    job_id: str


class _JobList(msgspec.Struct):
    data: list[RemoteJob]


class _Error(msgspec.Struct):
    message: str
    code: str
    param: str | None = None


class _Envelope(msgspec.Struct):
    error: _Error


class Client:
    """Talks to the gateway at `url`; use it as an async context manager."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.close()

    async def submit(self, body: JobBody, *, idempotency_key: str | None = None) -> str:
        """Submit a job; returns its id."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        answer = await self._call("POST", "/jobs", _Accepted, body=body, headers=headers)
        return answer.job_id

    async def job(self, job_id: str, *, wait_s: float = 0.0) -> RemoteJob:
        """The job, once it has ended or `wait_s` seconds have passed."""
        return await self._call(
            "GET", f"/jobs/{job_id}", RemoteJob, query={"wait": f"{wait_s:g}"}, wait_s=wait_s
        )

    async def ended(self, job_id: str) -> RemoteJob:
        """The job once it has ended, however long that takes."""
        while True:
            job = await self.job(job_id, wait_s=LONG_POLL_S)
            if job.status.terminal:
                return job

    async def jobs(self, *, state: JobState | None = None, limit: int = 20) -> list[RemoteJob]:
        """Jobs of the caller's team, newest first."""
        query = {"limit": str(limit)} | ({} if state is None else {"state": state.value})
        return (await self._call("GET", "/jobs", _JobList, query=query)).data

    async def cancel(self, job_id: str) -> RemoteJob:
        """Cancel the job; returns it as it stands then."""
        return await self._call("POST", f"/jobs/{job_id}/cancel", RemoteJob)

    async def upload(self, path: Path) -> str:
        """Upload a batch's input; returns the file's id. Raises OSError if it cannot be read."""
        with path.open("rb") as content:
            form = aiohttp.FormData({"purpose": "batch"})
            form.add_field("file", content, filename=path.name)
            async with self._answered("POST", "/v1/files", data=form) as response:
                return self._decoded(await response.read(), _File).id

    async def content(self, file_id: str) -> AsyncGenerator[bytes]:
        """The bytes of a file, as they come."""
        async with self._answered("GET", f"/v1/files/{file_id}/content") as response:
            async for piece in response.content.iter_chunked(PIECE):
                yield piece

    async def create_batch(self, file_id: str, *, endpoint: str, window: str) -> RemoteBatch:
        """Make a batch of an uploaded file."""
        body = {"input_file_id": file_id, "endpoint": endpoint, "completion_window": window}
        return await self._call("POST", "/v1/batches", RemoteBatch, body=body)

    async def batch(self, batch_id: str) -> RemoteBatch:
        """The batch as it stands."""
        return await self._call("GET", f"/v1/batches/{batch_id}", RemoteBatch)

    async def batches(self, *, limit: int = 20) -> list[RemoteBatch]:
        """Batches of the caller's team, newest first."""
        query = {"limit": str(limit)}
        return (await self._call("GET", "/v1/batches", _BatchList, query=query)).data

    async def cancel_batch(self, batch_id: str) -> RemoteBatch:
        """Cancel the batch; returns it as it stands then."""
        return await self._call("POST", f"/v1/batches/{batch_id}/cancel", RemoteBatch)

    async def _call(
        self,
        method: str,
        path: str,
        answer_type: type[T],
        *,
        query: Mapping[str, str] | None = None,
        body: JobBody | None = None,
        headers: Mapping[str, str] | None = None,
        wait_s: float = 0.0,
    ) -> T:
        try:
            data = None if body is None else msgspec.json.encode(body)
        except UnicodeEncodeError as error:
            message = f"The request is no Unicode: {error}."
            raise InvalidRequest(message, code="invalid_unicode") from error
        headers = {**(headers or {}), "Content-Type": "application/json"}
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT_S + wait_s)
        async with self._answered(
            method, path, query=query, data=data, headers=headers, timeout=timeout
        ) as response:
            return self._decoded(await response.read(), answer_type)

    @asynccontextmanager
    async def _answered(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        data: bytes | aiohttp.FormData | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: aiohttp.ClientTimeout = STREAM_TIMEOUT,  # noqa: ASYNC109 - aiohttp's own
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """The answer while its body is still to be read. Raises what an error stands for."""
        try:
            async with self._session.request(
                method,
                self._url + path,
                params=query,
                data=data,
                headers=headers,
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                if response.status >= 300:  # noqa: PLR2004 - everything but success
                    raise error_of(response.status, response.headers, await response.read())
                yield response
        except aiohttp.InvalidURL as error:
            message = f"{self._url!r} is no URL of a gateway; it looks like http://127.0.0.1:8080."
            raise InvalidRequest(message, code="invalid_url") from error
        except (aiohttp.ClientError, TimeoutError) as error:
            message = f"No gateway answers at {self._url} ({error or type(error).__name__})."
            raise Unavailable(message, code="gateway_unreachable") from error

    def _decoded(self, answer: bytes, answer_type: type[T]) -> T:
        try:
            return msgspec.json.decode(answer, type=answer_type)
        except msgspec.MsgspecError as error:
            message = f"What answers at {self._url} is no Headpond gateway: {error}."
            raise Unavailable(message, code="not_a_gateway") from error


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> RequestError | TryLater:
    """The error that an answer stands for."""
    try:
        told = msgspec.json.decode(body, type=_Envelope).error
    except msgspec.MsgspecError:
        told = _Error(f"HTTP {status}: {body[:200].decode(errors='replace')}", "unknown")
    message, code = told.message, told.code
    match status:
        case 401:
            return Unauthenticated(message, code=code)
        case 403:
            return Forbidden(message, code=code)
        case 404:
            return NotFound(message, code=code, param=told.param)
        case 429:
            unit = "tokens" if "x-ratelimit-limit-tokens" in headers else "requests"
            limit = int(headers.get(f"x-ratelimit-limit-{unit}", 0))
            wait_s = _retry_after_s(headers)
            return RateLimited(message, code=code, retry_after_s=wait_s, unit=unit, limit=limit)
        case _ if status < 500:  # noqa: PLR2004 - the client errors of HTTP
            return InvalidRequest(message, code=code, param=told.param, status=status)
        case _:
            return Unavailable(message, code=code, retry_after_s=_retry_after_s(headers))


def _retry_after_s(headers: Mapping[str, str]) -> float:
    """What the gateway says; 1 where it says nothing, or something before it gives a date."""
    told = headers.get("retry-after", "")
    return float(told) if told.isascii() and told.isdigit() else 1.0
