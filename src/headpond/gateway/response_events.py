"""A response as a stream of events: what is played, in the words of the interface.

After a restart all output items announced before are void. The interface has no event for that,
so it is said with those that it has: the response is queued and in progress again, and new items
follow, under new indexes. See docs/streams.md.
"""

from collections.abc import Iterator
from typing import assert_never

from msgspec.structs import replace

from headpond.domain.deltas import Choices, Fields
from headpond.domain.job import Job, JobState
from headpond.gateway.response_event_schema import (
    AnyEvent,
    ArgumentsDelta,
    ArgumentsDone,
    Completed,
    Created,
    Failed,
    Incomplete,
    InProgress,
    ItemAdded,
    ItemDone,
    PartAdded,
    PartDone,
    Queued,
    TextDelta,
    TextDone,
)
from headpond.gateway.response_mapping import call_item_id, message_id, response_view
from headpond.gateway.response_schema import OutputCall, OutputMessage, OutputPart, ResponseView
from headpond.ports.jobs import Bodies
from headpond.services.playback import Began, Delta, Restart


class ResponseEvents:
    """The events of one response, not numbered yet. `request` is the body that the job keeps."""

    def __init__(self, job: Job, request: bytes) -> None:
        self._job = job
        self._request = request
        self._next_index = 0
        self._indexes: dict[str, int] = {}
        self._calls: set[str] = set()

    def opening(self) -> list[AnyEvent]:
        """The first events, before anything is played."""
        response = self._unfinished(JobState.QUEUED)
        return [Created(response=response), Queued(response=response)]

    def events(self, played: Began | Delta | Restart) -> Iterator[AnyEvent]:
        """What is played now."""
        match played:
            case Began():
                yield InProgress(response=self._unfinished(JobState.RUNNING))
            case Delta(run, choices):
                yield from self._delta(run, choices)
            case Restart():
                self._indexes.clear()
                self._calls.clear()
                yield Queued(response=self._unfinished(JobState.QUEUED))
                yield InProgress(response=self._unfinished(JobState.RUNNING))
            case _:  # pragma: no cover
                assert_never(played)

    def closing(self, response: ResponseView) -> Iterator[AnyEvent]:
        """The last events: the response has ended."""
        for item in response.output:
            yield from self._close(item)
        match response.status:
            case "completed":
                yield Completed(response=response)
            case "incomplete":
                yield Incomplete(response=response)
            case _:
                yield Failed(response=response)

    def _delta(self, run: int, choices: Choices) -> Iterator[AnyEvent]:
        for choice in choices:
            if choice["index"] == 0:
                delta = choice["delta"]
                yield from self._text(run, delta.get("content"))
                for call in delta.get("tool_calls") or ():
                    yield from self._call(run, call)

    def _text(self, run: int, text: object) -> Iterator[AnyEvent]:
        if not isinstance(text, str) or not text:
            return
        item_id = message_id(self._job, run)
        if item_id not in self._indexes:
            yield from self._open_message(item_id)
        index = self._indexes[item_id]
        yield TextDelta(item_id=item_id, output_index=index, delta=text)

    def _call(self, run: int, call: Fields) -> Iterator[AnyEvent]:
        item_id = call_item_id(self._job, run, call.get("index", 0))
        match call:
            case {"id": str(number), "function": {"name": str(name)}} if item_id not in self._calls:
                yield self._open(
                    OutputCall(
                        id=item_id, status="in_progress", call_id=number, name=name, arguments=""
                    )
                )
            case _:
                pass
        # One whose name did not come first cannot be announced; it is there in the end.
        self._calls.add(item_id)
        match call:
            case {"function": {"arguments": str(more)}} if more and item_id in self._indexes:
                yield ArgumentsDelta(
                    item_id=item_id, output_index=self._indexes[item_id], delta=more
                )
            case _:
                pass

    def _close(self, item: OutputMessage | OutputCall) -> Iterator[AnyEvent]:
        match item:
            case OutputMessage(content=[part]):
                if item.id not in self._indexes:
                    yield from self._open_message(item.id)
                index = self._indexes[item.id]
                yield TextDone(item_id=item.id, output_index=index, text=part.text)
                yield PartDone(item_id=item.id, output_index=index, part=part)
            case OutputCall():
                if item.id not in self._indexes:
                    yield self._open(replace(item, status="in_progress", arguments=""))
                index = self._indexes[item.id]
                yield ArgumentsDone(
                    item_id=item.id, output_index=index, name=item.name, arguments=item.arguments
                )
            case _:  # pragma: no cover
                message = f"a message with {len(item.content)} parts"
                raise AssertionError(message)
        yield ItemDone(output_index=index, item=item)

    def _open_message(self, item_id: str) -> Iterator[AnyEvent]:
        yield self._open(OutputMessage(id=item_id, status="in_progress", content=[]))
        yield PartAdded(
            item_id=item_id, output_index=self._indexes[item_id], part=OutputPart(text="")
        )

    def _open(self, item: OutputMessage | OutputCall) -> ItemAdded:
        index = self._indexes[item.id] = self._next_index
        self._next_index += 1
        return ItemAdded(output_index=index, item=item)

    def _unfinished(self, state: JobState) -> ResponseView:
        """The response as it was then, whatever became of it."""
        job = replace(self._job, state=state, finished_at=None, usage=None, error=None)
        return response_view(job, Bodies(self._request))
