"""The fingerprint of a request: equal for requests that ask the same, for the sake of memory.

Only what has one right answer has one: a request that is answered greedily (`temperature` 0) or
draws from a `seed`. Whoever asks for a sample wants another one each time, and `n` of them are
samples too. What looks at the world outside (a web search, a tool that the engine runs, a picture
at an address, a file) may find another world next time, so prompts are plain text.

Equal are requests that differ in the order of parameters and of a message's own fields, in white
space, in how text is escaped, in the form of a parameter's number (0, 0.0, -0.0), in a null for
what is left out, and in fields that engines read no answer from. Of defaults two are the same
everywhere and may be written or not; an engine takes the others from its own settings.

All else counts as it was written. So does the order within tools, calls and schemas: templates show
it to the model, and it is the order in which a constrained answer comes.
"""

import hashlib
from typing import Any, NewType, cast

import msgspec

from headpond.domain.job import Job

Fingerprint = NewType("Fingerprint", str)
"""64 hex digits."""

FORM = 2
"""One higher whenever the same request gets another fingerprint, or answers are kept otherwise."""

WITHOUT_EFFECT = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "prompt_cache_options",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "stream",
        "stream_options",
        "user",
    }
)
"""By OpenAI's reference of chat completions: who asks, how it is billed, kept and sent."""

FROM_OUTSIDE = ("audio", "plugins", "search_parameters", "web_search_options")
"""By the references of OpenAI, OpenRouter (`plugins`) and xAI (`search_parameters`).

The audio of an answer has a name that its maker forgets after a while.
"""

RANDOM_SEED = 2**32 - 1
"""For it llama.cpp draws a seed of its own, as vLLM does for -1."""

DEFAULTS = {"logprobs": False, "n": 1}

TEXTS = ("text", "refusal")
"""Types of a message's parts."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode


def fingerprint(job: Job, request: bytes, *, model_version: str | None) -> Fingerprint | None:
    """That of a job's request, a JSON object; None where there is no one answer to remember.

    Teams share none, nor do pools, models and versions of models.
    """
    try:
        asked = _plain(_decode(request))
        if not _has_one_answer(asked):
            return None
        parameters = [[name, _canonical(name, asked[name])] for name in sorted(asked)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    whole = [FORM, job.team, job.pool, job.model, model_version, parameters]
    return Fingerprint(hashlib.sha256(_encode(whole)).hexdigest())


def _plain(fields: dict[str, Any]) -> dict[str, Any]:
    """What matters, as it would be without defaults."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and name not in WITHOUT_EFFECT and DEFAULTS.get(name) != value
    }


def _has_one_answer(asked: dict[str, Any]) -> bool:
    drawn = asked.get("temperature") != 0 and not _is_seed(asked.get("seed"))
    outside = any(name in asked for name in FROM_OUTSIDE) or not _are_calls(asked.get("tools", []))
    return not drawn and not outside and "n" not in asked and _is_text(asked.get("messages"))


def _is_seed(seed: object) -> bool:
    return isinstance(seed, int) and seed >= 0 and seed != RANDOM_SEED


def _are_calls(tools: object) -> bool:
    """Tools that whoever asked runs; engines run others themselves (web_search, mcp)."""
    return isinstance(tools, list) and all(map(_is_function, cast("list[object]", tools)))


def _is_function(tool: object) -> bool:
    match tool:
        case {"type": "function"}:
            return True
        case _:
            return False


def _is_text(messages: object) -> bool:
    return isinstance(messages, list) and all(map(_says_text, cast("list[object]", messages)))


def _says_text(message: object) -> bool:
    if not isinstance(message, dict):
        return False
    content = cast("dict[str, object]", message).get("content")
    if isinstance(content, list):
        return all(map(_is_text_part, cast("list[object]", content)))
    return content is None or isinstance(content, str)


def _is_text_part(part: object) -> bool:
    match part:
        case {"type": str(kind)}:
            return kind in TEXTS
        case _:
            return False


def _canonical(name: str, value: Any) -> Any:
    if name == "messages":
        return [dict(sorted(message.items())) for message in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
