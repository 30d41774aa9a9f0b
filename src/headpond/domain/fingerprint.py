"""The fingerprint of a request: equal for requests that ask the same, for the sake of memory.

Only what has one right answer has one: a request that is answered greedily (`temperature` 0) or
draws from a `seed`. Whoever asks for a sample wants another one each time, and `n` of them are
samples too. What looks at the world outside (a web search, a picture at an address, a file) may
find another world next time, so prompts are plain text.

Equal are requests that differ in the order of parameters and of a message's fields, in white
space, in how text is escaped, in the form of a parameter's number (0, 0.0, -0.0), in a null for
what is left out, and in fields that engines read no answer from. Of defaults two are the same
everywhere and may be written or not; an engine takes the others from its own settings.

All else counts as it was written. So does the order within tools and schemas: templates show it to
the model, and it is the order in which a constrained answer comes.
"""

import hashlib
from typing import Any, NewType, cast

import msgspec

from headpond.domain.job import Job

Fingerprint = NewType("Fingerprint", str)
"""64 hex digits."""

FORM = 1
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

FROM_OUTSIDE = ("audio", "web_search_options")
"""The audio of an answer has a name that its maker forgets after a while."""

DEFAULTS = {"logprobs": False, "n": 1}

TEXTS = ("text", "refusal")
"""Types of a message's parts."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode
_encode_sorted = msgspec.json.Encoder(order="sorted").encode


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
    drawn = asked.get("temperature") != 0 and "seed" not in asked
    outside = any(name in asked for name in FROM_OUTSIDE)
    return not drawn and not outside and "n" not in asked and _is_text(asked.get("messages"))


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


def _canonical(name: str, value: object) -> msgspec.Raw:
    if name == "messages":
        return msgspec.Raw(_encode_sorted(value))
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return msgspec.Raw(_encode(value))
