"""Streamed answers: what an engine sends piece by piece, put together and taken apart again.

A piece is the `choices` of a chunk of OpenAI's chat stream: objects with an `index` and a `delta`,
and whatever else the engine puts there. Pieces that follow each other grow into one that says the
same, so pieces can be sent on in groups, and all of them together are the answer. Objects of one
index become one; whatever has no index is added at the end.
"""

from typing import Any, TypeAlias, cast

Fields: TypeAlias = dict[str, Any]
Choices: TypeAlias = list[Fields]

GROWING = frozenset({"content", "reasoning_content", "reasoning", "refusal", "arguments"})
"""Texts that come in parts; any other value that comes again replaces the one before."""


def grow(answer: Choices, piece: Choices) -> None:
    """Let the answer say what the piece says too, in place: what is there is not copied.

    The piece stays as it is, and nothing that grows is shared with it.
    """
    for entry in piece:
        index = _index(entry)
        if index is None:
            answer.append(entry)
            continue
        known = next((one for one in answer if _index(one) == index), None)
        if known is None:
            answer.append(known := Fields())
        _grow_fields(known, entry)


def says_something(choices: Choices) -> bool:
    """False for a piece that only opens or closes an answer."""
    return any(
        value for choice in choices for name, value in choice["delta"].items() if name != "role"
    )


def text_of(choices: Choices) -> str:
    """What a piece adds to the text of the first choice."""
    texts = (choice["delta"].get("content") for choice in choices if choice["index"] == 0)
    return "".join(text for text in texts if isinstance(text, str))


def as_answer(choices: Choices) -> Choices:
    """All pieces of an answer, together, as the choices of a chat completion that was not streamed.

    Each has its `message`, with at least `role` and `content`, instead of the `delta`.
    """
    return [_with_message(choice) for choice in choices]


def as_piece(answer: Choices) -> Choices:
    """The choices of a chat completion as the one piece that an engine could have sent."""
    return [_with_delta(choice) for choice in answer]


def _with_message(choice: Fields) -> Fields:
    rest = {name: value for name, value in choice.items() if name not in ("index", "delta")}
    message = {"role": "assistant", "content": None, **choice["delta"]}
    calls: object = message.get("tool_calls")
    if isinstance(calls, list):
        message["tool_calls"] = [_without_index(call) for call in cast("list[object]", calls)]
    plain = {"index": choice["index"], "message": message}
    return {**plain, "logprobs": None, "finish_reason": None, **rest}


def _without_index(call: object) -> object:
    if not isinstance(call, dict):
        return call
    fields = cast("Fields", call)
    return {name: value for name, value in fields.items() if name != "index"}


def _with_delta(choice: Fields) -> Fields:
    rest = {name: value for name, value in choice.items() if name != "message"}
    delta = dict(choice.get("message") or {})
    if delta.get("tool_calls"):
        delta["tool_calls"] = [
            {"index": index, **call} for index, call in enumerate(delta["tool_calls"])
        ]
    return {"index": 0, **rest, "delta": delta}


def _grow_fields(fields: Fields, more: Fields) -> None:
    for name, value in more.items():
        fields[name] = _grown(name, fields.get(name), value)


def _grown(name: str, before: object, after: object) -> object:
    match before, after:
        case _, None:
            return before
        case _, dict():
            fields = cast("Fields", before) if isinstance(before, dict) else {}
            _grow_fields(fields, cast("Fields", after))
            return fields
        case _, list():
            entries = cast("Choices", before) if isinstance(before, list) else []
            grow(entries, cast("Choices", after))
            return entries
        case str(), str() if name in GROWING:
            return before + after
        case _:
            return after


def _index(entry: object) -> int | None:
    match entry:
        case {"index": int(index)}:
            return index
        case _:
            return None
