"""Wire types of the batch API, and of the lines of its files."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Raw

from headpond.domain.batch import Batch, BatchStatus
from headpond.domain.file import MAX_TTL_S, MIN_TTL_S
from headpond.gateway.chat_schema import Metadata
from headpond.gateway.response_schema import ResponseUsage

BatchEndpoint: TypeAlias = Literal["/v1/chat/completions", "/v1/responses"]


class OutputExpiresAfter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the files that a batch writes expire, counted from when each is written."""

    anchor: Literal["created_at"]
    seconds: Annotated[int, Meta(ge=MIN_TTL_S, le=MAX_TTL_S)]


class BatchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /v1/batches."""

    input_file_id: Annotated[str, Meta(max_length=64)]
    endpoint: BatchEndpoint
    completion_window: Annotated[
        str,
        Meta(
            pattern="^[1-9][0-9]{0,6}[smhd]$",
            description="A whole number and s, m, h or d, such as 24h",
        ),
    ]
    metadata: Metadata | None = None
    output_expires_after: OutputExpiresAfter | None = None


class BatchFault(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    message: str
    param: str | None
    line: int | None


class BatchFaults(msgspec.Struct, frozen=True, kw_only=True):
    object: Literal["list"] = "list"
    data: list[BatchFault]


class RequestCounts(msgspec.Struct, frozen=True, kw_only=True):
    total: int
    completed: int
    failed: int


class BatchView(msgspec.Struct, frozen=True, kw_only=True):
    """A batch as the official client reads it. Times are Unix seconds.

    `model` is null where the requests are for several; `usage` comes with the output.
    """

    id: str
    object: Literal["batch"] = "batch"
    endpoint: BatchEndpoint
    model: str | None
    errors: BatchFaults | None
    input_file_id: str
    completion_window: str
    status: BatchStatus
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int | None
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: int | None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    usage: ResponseUsage | None
    metadata: dict[str, str] | None


class BatchList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. With `has_more`, the next page is `?after=` the last one's id."""

    object: Literal["list"] = "list"
    data: list[BatchView]
    first_id: str | None
    last_id: str | None
    has_more: bool


class RequestLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line of an input file."""

    custom_id: Annotated[str, Meta(min_length=1, max_length=512)]
    method: Literal["POST"]
    url: str
    body: Raw


class NamedLine(msgspec.Struct, frozen=True):
    """A line of which nothing but its name matters any more."""

    custom_id: str


class LineResponse(msgspec.Struct, frozen=True, kw_only=True):
    status_code: int
    request_id: str
    body: Raw


class LineFault(msgspec.Struct, frozen=True):
    code: str
    message: str


class ResultLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of an output or error file: what the endpoint would have answered, or why not."""

    id: str
    custom_id: str
    response: LineResponse | None = None
    error: LineFault | None = None


def view(batch: Batch) -> BatchView:
    """The batch for its owner."""
    ended = {batch.status: _seconds(batch.ended_at)} if batch.status.ended else {}
    faults = [
        BatchFault(code=error.code, message=error.message, param=error.param, line=error.line)
        for error in batch.errors
    ]
    counts = batch.counts
    return BatchView(
        id=batch.id,
        endpoint=msgspec.convert(batch.endpoint, BatchEndpoint),
        model=batch.model,
        errors=BatchFaults(data=faults) if faults else None,
        input_file_id=batch.input_file,
        completion_window=batch.completion_window,
        status=batch.status,
        output_file_id=batch.output_file,
        error_file_id=batch.error_file,
        created_at=int(batch.created_at),
        in_progress_at=_seconds(batch.in_progress_at),
        expires_at=int(batch.expires_at),
        finalizing_at=_seconds(batch.finalizing_at),
        completed_at=ended.get(BatchStatus.COMPLETED),
        failed_at=ended.get(BatchStatus.FAILED),
        expired_at=ended.get(BatchStatus.EXPIRED),
        cancelling_at=_seconds(batch.cancelling_at),
        cancelled_at=ended.get(BatchStatus.CANCELLED),
        request_counts=RequestCounts(
            total=counts.total, completed=counts.completed, failed=counts.failed
        ),
        usage=_usage(batch),
        metadata=batch.metadata or None,
    )


def _seconds(moment: float | None) -> int | None:
    return None if moment is None else int(moment)


def _usage(batch: Batch) -> ResponseUsage | None:
    if batch.usage is None:
        return None
    asked, answered = batch.usage.prompt_tokens, batch.usage.completion_tokens
    return ResponseUsage(input_tokens=asked, output_tokens=answered, total_tokens=asked + answered)
