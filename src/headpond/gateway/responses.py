"""/v1/responses: in the background or with somebody holding the line.

A response is a job under another name, so one that was not done in time is fetched like one that
was made in the background.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import msgspec
from starlette.types import ASGIApp

from headpond.domain.job import Job, JobId
from headpond.domain.lane import Priority
from headpond.errors import InvalidRequest, NotFound
from headpond.gateway.body import BodyReader
from headpond.gateway.chat import priority_of
from headpond.gateway.deadlines import deadline_of
from headpond.gateway.endpoint import Answer, Call, Operation, Parameter
from headpond.gateway.event_stream import STARTING_AFTER, no_such_event, starting_after
from headpond.gateway.idempotency import IDEMPOTENCY_KEY
from headpond.gateway.intake import Asked, Inspection, Intake, receipt_headers
from headpond.gateway.jobs import job_id
from headpond.gateway.reply import Header, Reply, json_reply
from headpond.gateway.response_mapping import chat_request, response_view
from headpond.gateway.response_schema import UNSUPPORTED, ResponseRequest, ResponseView
from headpond.gateway.response_stream import ResponseStreams
from headpond.gateway.tombstones import Deleted, gone
from headpond.gateway.waiting import WAIT_HEADER, unanswered, wait_s
from headpond.services.desk import Desk
from headpond.settings import GatewaySettings

STREAM = Parameter(
    name="stream", schema={"type": "boolean"}, description="Answer with the response's events."
)
STREAMED = "With `stream`: the response's events."

_encode = msgspec.json.Encoder().encode


class ResponseReader:
    """Reads the body of a response, whichever door it came through."""

    def __init__(self, bodies: BodyReader, inspection: Inspection) -> None:
        self._bodies = bodies
        self._inspection = inspection
        self._decoder = msgspec.json.Decoder(ResponseRequest)

    def decoded(self, body: bytes) -> ResponseRequest:
        """The body as the API's type. Raises InvalidRequest."""
        try:
            request = self._bodies.decode(body, self._decoder)
        except InvalidRequest as error:
            if error.code != "unknown_parameter" or error.param not in UNSUPPORTED:
                raise
            message = f"The parameter {error.param!r} of OpenAI's responses is not supported here."
            code = "unsupported_parameter"
            raise InvalidRequest(message, code=code, param=error.param) from error
        if request.store is False:
            message = "Responses are always kept here; store=false is not supported."
            raise InvalidRequest(message, code="unsupported_parameter", param="store")
        return request

    def asked(self, body: bytes, request: ResponseRequest | None = None) -> Asked:
        """What the body asks for, decoded already or not. Raises InvalidRequest."""
        request = request or self.decoded(body)
        default = Priority.BATCH if request.background else Priority.INTERACTIVE
        return Asked(
            body=body,
            request=_encode(chat_request(request)),
            prompt_param="input",
            answer_tokens=self._inspection.answer_tokens(
                {"max_output_tokens": request.max_output_tokens}
            ),
            metadata=request.metadata,
            stream=request.stream,
            model=request.model,
            priority=priority_of(request.service_tier, default),
            background=bool(request.background),
            deadline=deadline_of(request.deadline, request.expires_in),
            expires_in=request.expires_in,
            best_effort=request.best_effort,
        )


class ResponseRoutes:
    """OpenAI's responses API: create and retrieve, as a stream too, cancel, delete."""

    def __init__(
        self,
        reader: ResponseReader,
        intake: Intake,
        desk: Desk,
        bodies: BodyReader,
        settings: GatewaySettings,
        *,
        streams: ResponseStreams,
    ) -> None:
        self._reader = reader
        self._intake = intake
        self._desk = desk
        self._streams = streams
        self._bodies = bodies
        self._max_wait_s = settings.max_wait_s

    def operations(self) -> list[Operation]:
        """Create and retrieve, the hot ones, first."""
        return [
            Operation(
                method="POST",
                path="/v1/responses",
                handler=self._create,
                summary="Create a response",
                body=ResponseRequest,
                parameters=(IDEMPOTENCY_KEY, WAIT_HEADER),
                answer=Answer(type=ResponseView, stream=STREAMED),
                errors=(404, 408, 413, 415, 422, 429, 504),
            ),
            Operation(
                method="GET",
                path="/v1/responses/{id}",
                handler=self._show,
                summary="Retrieve a response, or follow it",
                parameters=(STREAM, STARTING_AFTER),
                answer=Answer(type=ResponseView, stream=STREAMED),
                errors=(404, 410),
            ),
            Operation(
                method="DELETE",
                path="/v1/responses/{id}",
                handler=self._delete,
                summary="Delete a response",
                answer=Answer(type=Deleted),
                errors=(404,),
            ),
            Operation(
                method="POST",
                path="/v1/responses/{id}/cancel",
                handler=self._cancel,
                summary="Cancel a response",
                answer=Answer(type=ResponseView),
                errors=(404,),
            ),
        ]

    async def _create(self, call: Call) -> ASGIApp:
        patience_s = wait_s(call, self._max_wait_s)
        body = await self._bodies.read(call)
        request = self._reader.decoded(body)
        receipt = await self._intake.submit(call, self._reader.asked(body, request))
        if request.stream:
            return self._streams.created(call, receipt, background=bool(request.background))
        job, headers = receipt.job, receipt_headers(receipt)
        if not request.background:
            job = await self._desk.ended(job, patience_s)
            if not job.state.terminal:
                return unanswered(job, headers)
        return await self._reply(job, headers)

    async def _show(self, call: Call) -> ASGIApp:
        streamed = _streamed(call)
        after = starting_after(call)
        if after is not None and not streamed:
            message = "starting_after is for streams; send stream=true with it."
            raise InvalidRequest(message, code="invalid_value", param="starting_after")
        with _named(call.id):
            job = await self._desk.job(_job_id(call.id), call.identity)
        if streamed and job.erased_at is None:
            if after is None:
                return self._streams.resumed(job, -1)
            if after > (last := await self._streams.last_number(job)):
                raise no_such_event(call, last)
            return self._streams.resumed(job, after)
        return await self._reply(job)

    async def _cancel(self, call: Call) -> ASGIApp:
        with _named(call.id):
            job = await self._desk.cancel(_job_id(call.id), call.identity)
        return await self._reply(job)

    async def _delete(self, call: Call) -> ASGIApp:
        with _named(call.id):
            await self._desk.erase(_job_id(call.id), call.identity)
        return json_reply(Deleted(id=call.id, object="response"))

    async def _reply(self, job: Job, headers: Sequence[Header] = ()) -> Reply:
        if job.erased_at is not None:
            return gone(job)
        return json_reply(await self._view(job), 200, headers)

    async def _view(self, job: Job) -> ResponseView:
        return response_view(job, await self._desk.bodies(job))


def _streamed(call: Call) -> bool:
    match call.query.get("stream", "false"):
        case "true":
            return True
        case "false":
            return False
        case _:
            message = "stream must be true or false."
            raise InvalidRequest(message, code="invalid_value", param="stream")


@contextmanager
def _named(response_id: str) -> Generator[None]:
    """A response that is not there is named as it was asked for, not as the job that it is."""
    try:
        yield
    except NotFound as error:
        message = f"There is no response {response_id[:64]!r}."
        raise NotFound(message, code=error.code, param=error.param) from error


def _job_id(response_id: str) -> JobId:
    prefix, _, number = response_id.partition("_")
    return job_id(f"job_{number}" if prefix == "resp" else response_id)
