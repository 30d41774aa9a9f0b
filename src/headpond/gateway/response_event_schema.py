"""Wire types of the events in a stream of the responses API."""

from typing import TypeAlias

import msgspec

from headpond.gateway.response_schema import (
    OutputCall,
    OutputMessage,
    OutputPart,
    ResponseView,
)


class StreamedEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Numbered from 0 without gaps, when it is sent."""

    sequence_number: int = 0


class ResponseEvent(StreamedEvent, frozen=True, kw_only=True):
    """The response as it stands."""

    response: ResponseView


class Created(ResponseEvent, frozen=True, kw_only=True, tag="response.created"): ...


class Queued(ResponseEvent, frozen=True, kw_only=True, tag="response.queued"): ...


class InProgress(ResponseEvent, frozen=True, kw_only=True, tag="response.in_progress"): ...


class Completed(ResponseEvent, frozen=True, kw_only=True, tag="response.completed"): ...


class Incomplete(ResponseEvent, frozen=True, kw_only=True, tag="response.incomplete"): ...


class Failed(ResponseEvent, frozen=True, kw_only=True, tag="response.failed"): ...


class ItemEvent(StreamedEvent, frozen=True, kw_only=True):
    output_index: int
    item: OutputMessage | OutputCall


class ItemAdded(ItemEvent, frozen=True, kw_only=True, tag="response.output_item.added"): ...


class ItemDone(ItemEvent, frozen=True, kw_only=True, tag="response.output_item.done"): ...


class PartEvent(StreamedEvent, frozen=True, kw_only=True):
    """A message has one part."""

    item_id: str
    output_index: int
    content_index: int = 0


class PartAdded(PartEvent, frozen=True, kw_only=True, tag="response.content_part.added"):
    part: OutputPart


class PartDone(PartEvent, frozen=True, kw_only=True, tag="response.content_part.done"):
    part: OutputPart


class TextDelta(PartEvent, frozen=True, kw_only=True, tag="response.output_text.delta"):
    delta: str
    logprobs: tuple[()] = ()


class TextDone(PartEvent, frozen=True, kw_only=True, tag="response.output_text.done"):
    text: str
    logprobs: tuple[()] = ()


class ArgumentsEvent(StreamedEvent, frozen=True, kw_only=True):
    item_id: str
    output_index: int


class ArgumentsDelta(
    ArgumentsEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.delta"
):
    delta: str


class ArgumentsDone(
    ArgumentsEvent, frozen=True, kw_only=True, tag="response.function_call_arguments.done"
):
    name: str
    arguments: str


AnyEvent: TypeAlias = (
    Created
    | Queued
    | InProgress
    | Completed
    | Incomplete
    | Failed
    | ItemAdded
    | ItemDone
    | PartAdded
    | PartDone
    | TextDelta
    | TextDone
    | ArgumentsDelta
    | ArgumentsDone
)
