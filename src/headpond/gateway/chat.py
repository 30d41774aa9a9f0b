"""/v1/chat/completions: a chat completion that goes through the queue.

The connection is held until the job has ended, for a bounded time. A client that goes away, or
whose time is up, has not cancelled anything: the job has an id, and its result can be fetched.
Streams are another matter, see `chat_stream`.
"""

import msgspec
from starlette.types import ASGIApp

from headpond.domain.job import JobState
from headpond.domain.lane import Priority
from headpond.errors import InvalidRequest
from headpond.gateway.body import BodyReader
from headpond.gateway.chat_schema import ChatRequest, Open, OpenChatRequest, StreamOptions
from headpond.gateway.chat_stream import ChatStreams
from headpond.gateway.deadlines import deadline_of
from headpond.gateway.endpoint import Answer, Call, Operation
from headpond.gateway.idempotency import IDEMPOTENCY_KEY
from headpond.gateway.intake import (
    Asked,
    Inspection,
    Intake,
    engine_request,
    receipt_headers,
)
from headpond.gateway.reply import Reply
from headpond.gateway.tombstones import gone
from headpond.gateway.waiting import WAIT_HEADER, unanswered, wait_s
from headpond.services.desk import Desk
from headpond.settings import GatewaySettings

FOR_HEADPOND = (
    "model",
    "stream",
    "stream_options",
    "metadata",
    "service_tier",
    "deadline",
    "expires_in",
    "best_effort",
)


class ChatReader:
    """Reads the body of a chat completion, whichever door it came through."""

    def __init__(
        self, bodies: BodyReader, inspection: Inspection, settings: GatewaySettings
    ) -> None:
        self._bodies = bodies
        self._inspection = inspection
        strict = settings.unknown_parameters == "refuse"
        self.body_type = ChatRequest if strict else OpenChatRequest
        self._decoder = msgspec.json.Decoder[ChatRequest](self.body_type)

    def decoded(self, body: bytes) -> ChatRequest:
        """The body as the API's type. Raises InvalidRequest."""
        request = self._bodies.decode(body, self._decoder)
        if request.stream_options is not None and not request.stream:
            message = "stream_options are for streams; send stream=true with them."
            raise InvalidRequest(message, code="invalid_value", param="stream_options")
        return request

    def asked(self, body: bytes, request: ChatRequest | None = None) -> Asked:
        """What the body asks for, decoded already or not. Raises InvalidRequest."""
        request = request or self.decoded(body)
        return Asked(
            body=body,
            request=engine_request(body, FOR_HEADPOND),
            prompt_param="messages",
            answer_tokens=self._inspection.answer_tokens(request.answer_limits, request.n or 1),
            metadata=request.metadata,
            stream=request.stream,
            model=request.model,
            priority=priority_of(request.service_tier, Priority.INTERACTIVE),
            deadline=deadline_of(request.deadline, request.expires_in),
            expires_in=request.expires_in,
            best_effort=request.best_effort,
        )


class ChatRoutes:
    """OpenAI's chat API."""

    def __init__(
        self,
        reader: ChatReader,
        intake: Intake,
        desk: Desk,
        bodies: BodyReader,
        settings: GatewaySettings,
        *,
        streams: ChatStreams,
    ) -> None:
        self._reader = reader
        self._intake = intake
        self._desk = desk
        self._streams = streams
        self._bodies = bodies
        self._max_wait_s = settings.max_wait_s

    def operations(self) -> list[Operation]:
        """The one."""
        return [
            Operation(
                method="POST",
                path="/v1/chat/completions",
                handler=self._create,
                summary="Complete a chat, waiting for the answer",
                body=self._reader.body_type,
                parameters=(IDEMPOTENCY_KEY, WAIT_HEADER),
                answer=Answer(
                    type=Open,
                    description="The engine's chat completion.",
                    stream="With `stream`: chunks of it as server-sent events.",
                ),
                errors=(404, 408, 409, 410, 413, 415, 422, 429, 502, 504),
            )
        ]

    async def _create(self, call: Call) -> ASGIApp:
        patience_s = wait_s(call, self._max_wait_s)
        body = await self._bodies.read(call)
        request = self._reader.decoded(body)
        asked = self._reader.asked(body, request)
        receipt = await self._intake.submit(call, asked)
        if request.stream:
            options = request.stream_options or StreamOptions()
            return await self._streams.answer(
                call, receipt, patience_s=patience_s, include_usage=bool(options.include_usage)
            )
        job = await self._desk.ended(receipt.job, patience_s)
        headers = receipt_headers(receipt)
        if job.erased_at is not None:
            return gone(job)
        if job.state is not JobState.SUCCEEDED:
            return unanswered(job, headers)
        response = (await self._desk.bodies(job)).response
        return unanswered(job, headers) if response is None else Reply(response, 200, headers)


def priority_of(service_tier: str | None, default: Priority) -> Priority:
    """The lane that a service tier names."""
    match service_tier:
        case "flex":
            return Priority.BATCH
        case "priority" | "fast":
            return Priority.INTERACTIVE
        case _:
            return default
