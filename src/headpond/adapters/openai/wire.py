"""What goes over the wire to an OpenAI-compatible server, and what its answers mean.

Bytes stay bytes: a request is spliced, not re-encoded, and a response is read only for what the
record needs. So every parameter reaches the engine, and every field the client, as it was written.

A refusal that every request would meet (a wrong key, a model that is not there) is the operator's
fault: it is `Misconfigured`, and no job pays for it.
"""

import re
from collections.abc import Mapping

import msgspec

from headpond.domain import retry_after
from headpond.domain.confidence import sequence_probability
from headpond.domain.job import Usage
from headpond.domain.outcome import Answered, Broke, Misconfigured, NotNow, Outcome, Refused

MAX_RETRY_AFTER_S = 300.0
MAX_MESSAGE_CHARS = 1_000

NOT_NOW = frozenset({425, 429, 502, 503})
"""Too early, too much, and nobody behind the proxy: the request itself was not looked at."""

TIMED_OUT = frozenset({408, 504})

CUT_SHORT = ("length", "content_filter")
"""Reasons for the end of an answer that are not its own end."""

OPERATORS_FAULT = frozenset({401, 402, 403, 404, 405})
"""A wrong key, an unpaid bill, a model or a path that the server does not have."""

_CANNOT_TAKE = re.compile(r"(image|audio|video) input is not supported - hint: .*")
"""What llama.cpp says with HTTP 500 to parts that its model cannot take."""

_NO_ROOM = "exceeds the available context size"
"""What it says of a prompt that is too long."""


class _Token(msgspec.Struct):
    logprob: float


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Choice(msgspec.Struct):
    logprobs: _Logprobs | None = None
    finish_reason: object = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage | None = None


class _Model(msgspec.Struct):
    id: str


class _ModelList(msgspec.Struct):
    data: list[_Model]


class _Error(msgspec.Struct):
    """`object`, because servers put strings, numbers, lists and null here."""

    message: object = None
    detail: object = None
    code: object = None


class _Envelope(_Error):
    error: _Error | str | None = None


_completion = msgspec.json.Decoder(_Completion)
_model_list = msgspec.json.Decoder(_ModelList)
_envelope = msgspec.json.Decoder(_Envelope)


def with_model(request: bytes, model: str) -> bytes:
    """The request, a JSON object without `model`, with the model as its first member."""
    members = request.lstrip()[1:].lstrip()
    comma = b"" if members.startswith(b"}") else b","
    return b'{"model":' + msgspec.json.encode(model) + comma + members


def read_response(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """What a complete response to a chat completion means for the job."""
    if status == 200:  # noqa: PLR2004 - the one success of this interface
        return read_completion(body)
    code, message = read_error(status, body)
    if status in NOT_NOW:
        return NotNow(f"HTTP {status}: {message}", retry_after_s(headers))
    if status in TIMED_OUT:
        return Broke(f"HTTP {status}: {message}", "engine_timeout")
    if status in OPERATORS_FAULT:
        return Misconfigured(f"HTTP {status}: {message}")
    cannot_take = status == 500 and _CANNOT_TAKE.fullmatch(message)  # noqa: PLR2004 - llama.cpp's
    if _NO_ROOM in message:
        message += " (engine.context_tokens, if the engine is the embedded one)"
    if cannot_take or 400 <= status < 500:  # noqa: PLR2004 - the client errors of HTTP
        return Refused(message, code or "engine_refused")
    return Broke(f"HTTP {status}: {message}")


def read_completion(body: bytes) -> Answered | Broke:
    """The answer with its counts, if the body is a chat completion with at least one choice."""
    try:
        body.decode()  # msgspec does not look into strings that nobody wants
        completion = _completion.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return Broke(f"The engine's answer is not a chat completion: {error}", "engine_garbage")
    if not completion.choices:
        return Broke("The engine's answer has no choices.", "engine_garbage")
    logprobs = completion.choices[0].logprobs
    tokens = (logprobs and logprobs.content) or ()
    usage = completion.usage or _Usage()
    return Answered(
        response=body,
        usage=Usage(usage.prompt_tokens or 0, usage.completion_tokens or 0),
        confidence=sequence_probability([token.logprob for token in tokens]),
        cut_short=completion.choices[0].finish_reason in CUT_SHORT,
    )


def read_models(body: bytes) -> list[str]:
    """The ids in a model list; empty when the body is something else."""
    try:
        return [model.id for model in _model_list.decode(body).data]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return []


def read_error(status: int, body: bytes) -> tuple[str | None, str]:
    """The engine's own code, if it gave a word for one, and its message.

    Knows OpenAI's envelope (`{"error": {"message", "code"}}`), the flat one of older vLLM
    (`{"message"}`), a bare string in `error` (Ollama, TGI), FastAPI's `detail`, and plain text.
    """
    try:
        envelope = _envelope.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        text = body[: MAX_MESSAGE_CHARS * 4].decode(errors="replace").strip()
        return None, _message(status, None if text.startswith("<") else text)
    error = envelope.error or envelope
    if isinstance(error, str):
        return None, _message(status, error)
    word = error.code if isinstance(error.code, str) and not error.code.isdigit() else None
    return word, _message(status, error.message or error.detail)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds until the engine wants to be asked again, 0 to 300; None if it did not say."""
    told_s = retry_after.retry_after_s(headers.get("Retry-After", ""), headers.get("Date", ""))
    return None if told_s is None else min(told_s, MAX_RETRY_AFTER_S)


def _message(status: int, message: object) -> str:
    if not message:
        return f"The engine answered HTTP {status} without saying why."
    text = message if isinstance(message, str) else msgspec.json.encode(message).decode()
    return text if len(text) <= MAX_MESSAGE_CHARS else text[: MAX_MESSAGE_CHARS - 1] + "…"
