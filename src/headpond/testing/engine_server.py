"""An engine that pretends: vLLM's interface, no model, and faults on demand.

In a test it runs in the test's own loop:

    async with FakeEngine() as engine:
        engine.fault = Status(503, retry_after="2")

For benchmarks and chaos it runs in a process of its own:

    python -m headpond.testing.engine_server --port 8000

Answers come at once unless it has a `Pace`. It says what vLLM would: the same error envelope, the
same gauge names, so whatever copes with it has met the real shapes.
"""

import argparse
import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import AsyncGenerator, Callable
from types import TracebackType
from typing import Self, assert_never

import msgspec

from headpond.testing.http_server import Exchange, HttpServer
from headpond.testing.vllm_pages import (
    END_OF_STREAM,
    CannedAnswers,
    error_body,
    event,
    metrics_page,
    model_list,
)

CHARS_PER_TOKEN = 4

DEADLY_AFTER_S = 0.1
"""A request that kills has run for a moment, and so have those beside it."""


class Status(msgspec.Struct, frozen=True):
    """Answer with this status, and an error in vLLM's envelope unless a body is given."""

    status: int
    message: str = "The fake engine was told to fail."
    retry_after: str | None = None
    body: bytes | None = None


class Hang(msgspec.Struct, frozen=True):
    """Take the request and never answer."""


class Cut(msgspec.Struct, frozen=True):
    """Hang up in the middle of the answer."""


class Drop(msgspec.Struct, frozen=True):
    """Hang up before the answer."""


class BreakOff(msgspec.Struct, frozen=True):
    """Of a streamed answer send so many tokens, then an error in the stream, or just hang up."""

    tokens: int
    error: bytes | None = None


Fault = Status | Hang | Cut | Drop | BreakOff

GARBAGE = Status(200, body=b'{"choices": [')


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a real engine would be: prefill, then decode, in a batch of at most `slots`.

    A token takes longer the more requests run beside it, by `crowding` for each. The defaults
    are those of an 8B model on one large GPU (batch 8: 1.2 times the time per token, batch 32:
    1.9 times).
    """

    prefill_s_per_token: float = 0.0001
    decode_s_per_token: float = 0.01
    crowding: float = 0.029
    slots: int = 32

    def duration_s(self, prompt_tokens: int, answer_tokens: int, beside: int) -> float:
        """Seconds for one request while `beside` others run."""
        decode_s = answer_tokens * self.decode_s_per_token * (1 + self.crowding * beside)
        return prompt_tokens * self.prefill_s_per_token + decode_s


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _Wanted(msgspec.Struct):
    """What the fake reads of a request."""

    model: str
    messages: list[msgspec.Raw]
    max_tokens: int | None = None
    logprobs: bool | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


_wanted = msgspec.json.Decoder(_Wanted)


class FakeEngine:
    """Serves `model`; every answer is `answer`, a token for each word of it.

    Set `fault` to make completions fail until it is None again, or append to `next_faults` to make
    just the next ones fail. `bodies` holds the latest completion requests as they came in.
    `aborted` counts those whose client went away before the answer. `healthy` and `kv_usage` can
    be set; without the latter the KV cache fills with the running requests. `on_request` is called
    with the body of each completion request.
    """

    def __init__(
        self,
        *,
        model: str = "fake",
        answer: str = "Yes",
        logprob: float = -0.01,
        pace: Pace | None = None,
        port: int = 0,
        api_key: str | None = None,
        kv_tokens: int = 100_000,
        bodies_kept: int = 1_000,
        on_request: Callable[[bytes], None] | None = None,
    ) -> None:
        self.fault: Fault | None = None
        self.next_faults: deque[Fault] = deque()
        self.bodies: deque[bytes] = deque(maxlen=bodies_kept)
        self.healthy = True
        self.kv_usage: float | None = None
        self.requests = 0
        self.aborted = 0
        self.answered = 0
        self.running = 0
        self.waiting = 0
        self._on_request = on_request
        self._model = model
        self._answers = CannedAnswers(model, answer, logprob)
        self._models = model_list(model)
        self._pace = pace
        self._slots = asyncio.Semaphore(pace.slots) if pace else None
        self._authorization = None if api_key is None else f"Bearer {api_key}"
        self._kv_tokens = kv_tokens
        self._running_tokens = 0
        self._server = HttpServer(self._handle, port=port)
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    @property
    def url(self) -> str:
        """The root, without `/v1`; known once it has started."""
        return f"http://127.0.0.1:{self._server.port}"

    async def start(self) -> None:
        """Listen. After `die`, listens on the same port again."""
        await self._server.start()

    async def die(self) -> None:
        """Vanish as a killed process does: every connection lost, nobody listening."""
        await self._server.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.die()

    async def until(self, fact: Callable[[], bool]) -> None:
        """Wait until `fact` is true; looks again whenever a request comes, ends or is aborted."""
        while not fact():
            self._changed.clear()
            await self._changed.wait()

    def _handle(self, exchange: Exchange) -> None:
        match exchange.method, exchange.path:
            case "POST", "/v1/chat/completions":
                self._complete(exchange)
            case "GET", "/health":
                exchange.answer(200 if self.healthy else 503, b"")
            case "GET", "/v1/models":
                exchange.answer(200, self._models)
            case "GET", "/metrics":
                exchange.answer(200, self._metrics(), content_type="text/plain; version=0.0.4")
            case _:
                exchange.answer(404, b'{"detail":"Not Found"}')

    def _complete(self, exchange: Exchange) -> None:
        self.requests += 1
        self.bodies.append(exchange.body)
        if self._on_request is not None:
            self._on_request(exchange.body)
        self._changed.set()
        exchange.on_abandoned = self._note_abort
        fault = self.next_faults.popleft() if self.next_faults else self.fault
        if fault is not None and not isinstance(fault, BreakOff):
            self._fail(exchange, fault)
            return
        if self._authorization not in (None, exchange.headers.get("authorization")):
            exchange.answer(401, b'{"error":"Unauthorized"}')
            return
        try:
            wanted = _wanted.decode(exchange.body)
        except msgspec.MsgspecError as error:
            exchange.answer(400, error_body(400, str(error)))
            return
        if wanted.model != self._model:
            message = f"The model `{wanted.model}` does not exist."
            exchange.answer(404, error_body(404, message))
        elif self._pace is None and not wanted.stream:
            self._answer(exchange, wanted)
        else:
            self._answer_later(exchange, wanted, fault)

    def _fail(self, exchange: Exchange, fault: Status | Hang | Cut | Drop) -> None:
        match fault:
            case Status():
                headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
                body = fault.body
                if body is None:
                    body = error_body(fault.status, fault.message)
                exchange.answer(fault.status, body, headers=headers)
            case Hang():
                pass
            case Cut():
                exchange.cut(200, self._answers.completion(1, logprobs=False))
            case Drop():
                exchange.drop()
            case _:
                assert_never(fault)

    def _answer(self, exchange: Exchange, wanted: _Wanted) -> None:
        prompt_tokens = len(exchange.body) // CHARS_PER_TOKEN
        body = self._answers.completion(prompt_tokens, logprobs=bool(wanted.logprobs))
        exchange.answer(200, body)
        self.answered += 1
        self._changed.set()

    def _answer_later(self, exchange: Exchange, wanted: _Wanted, fault: BreakOff | None) -> None:
        task = asyncio.create_task(self._run(exchange, wanted, fault))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

        def abort() -> None:
            self._note_abort()
            task.cancel()

        exchange.on_abandoned = abort

    async def _run(self, exchange: Exchange, wanted: _Wanted, fault: BreakOff | None) -> None:
        tokens = self._answers.tokens
        if wanted.max_tokens is not None:
            tokens = min(tokens, wanted.max_tokens)
        prompt_tokens = len(exchange.body) // CHARS_PER_TOKEN
        async with self._slot(prompt_tokens + tokens):
            if wanted.stream:
                await self._stream(exchange, wanted, tokens, fault)
                return
            await self._work(prompt_tokens, tokens)
        self._answer(exchange, wanted)

    @contextlib.asynccontextmanager
    async def _slot(self, tokens: int) -> AsyncGenerator[None]:
        """A place in the batch, once there is one."""
        async with contextlib.AsyncExitStack() as stack:
            if self._slots is not None:
                self.waiting += 1
                try:
                    await stack.enter_async_context(self._slots)
                finally:
                    self.waiting -= 1
            self._enter(tokens)
            stack.callback(self._leave, tokens)
            yield

    async def _work(self, prompt_tokens: int, answer_tokens: int) -> None:
        """Take the time that these would take beside what else runs now."""
        if self._pace is not None:
            beside = self.running - 1
            await asyncio.sleep(self._pace.duration_s(prompt_tokens, answer_tokens, beside))

    async def _stream(
        self, exchange: Exchange, wanted: _Wanted, tokens: int, fault: BreakOff | None
    ) -> None:
        prompt_tokens = len(exchange.body) // CHARS_PER_TOKEN
        *chunks, end, usage = self._answers.chunks(
            prompt_tokens, logprobs=bool(wanted.logprobs), limit=tokens
        )
        exchange.begin(200, "text/event-stream; charset=utf-8")
        await self._work(prompt_tokens, 0)
        for spoken, chunk in enumerate(chunks):  # the first one is the role
            if spoken:
                await self._work(0, 1)
            exchange.send(chunk)
            if fault is not None and spoken == fault.tokens:
                self._break_off(exchange, fault)
                return
        exchange.send(end)
        if wanted.stream_options is not None and wanted.stream_options.include_usage:
            exchange.send(usage)
        exchange.send(END_OF_STREAM)
        exchange.end()
        self.answered += 1
        self._changed.set()

    def _break_off(self, exchange: Exchange, fault: BreakOff) -> None:
        if fault.error is None:
            exchange.hang_up()
            return
        exchange.send(event(fault.error))
        exchange.send(END_OF_STREAM)
        exchange.end()

    def _enter(self, tokens: int) -> None:
        self.running += 1
        self._running_tokens += tokens
        self._changed.set()

    def _leave(self, tokens: int) -> None:
        self.running -= 1
        self._running_tokens -= tokens
        self._changed.set()

    def _note_abort(self) -> None:
        self.aborted += 1
        self._changed.set()

    def _metrics(self) -> bytes:
        kv_usage = self.kv_usage
        if kv_usage is None:
            kv_usage = min(1.0, self._running_tokens / self._kv_tokens)
        return metrics_page(
            self._model,
            running=self.running,
            waiting=self.waiting,
            kv_usage=kv_usage,
            answered=self.answered,
        )


class _Arguments(argparse.Namespace):
    port: int
    model: str
    answer: str
    slots: int
    prefill_ms: float
    decode_ms: float
    deadly: str | None

    def pace(self) -> Pace | None:
        """None, answers at once, unless one of the times was given."""
        if not self.prefill_ms and not self.decode_ms:
            return None
        return Pace(
            prefill_s_per_token=self.prefill_ms / 1000,
            decode_s_per_token=self.decode_ms / 1000,
            slots=self.slots,
        )


def _arguments() -> _Arguments:
    parser = argparse.ArgumentParser(description="A vLLM-like engine without a model.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--model", default="fake", help="the model it serves")
    parser.add_argument("--answer", default="Yes", help="what it always says")
    parser.add_argument("--prefill-ms", type=float, default=0.0, help="per prompt token")
    parser.add_argument("--decode-ms", type=float, default=0.0, help="per answer token")
    parser.add_argument("--slots", type=int, default=32, help="requests that run at once")
    parser.add_argument("--deadly", help="a request with this word in it kills the engine")
    return parser.parse_args(namespace=_Arguments())


def _killed_by(word: str) -> Callable[[bytes], None]:
    def look(body: bytes) -> None:
        if word.encode() in body:
            loop = asyncio.get_running_loop()
            loop.call_later(DEADLY_AFTER_S, os.kill, os.getpid(), signal.SIGKILL)

    return look


async def _serve(arguments: _Arguments) -> None:
    engine = FakeEngine(
        model=arguments.model,
        answer=arguments.answer,
        pace=arguments.pace(),
        port=arguments.port,
        on_request=None if arguments.deadly is None else _killed_by(arguments.deadly),
    )
    async with engine:
        print(f"listening on {engine.url}", flush=True)  # noqa: T201 - the caller waits for it
        await asyncio.Event().wait()


def main() -> None:
    """Serve until killed; the first line on standard output names the URL."""
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(_arguments()))


if __name__ == "__main__":
    main()
