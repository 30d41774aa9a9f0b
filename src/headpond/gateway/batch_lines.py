"""The lines of batch files, as the endpoints that they name would take and answer them."""

from collections.abc import Callable, Mapping
from typing import assert_never

import msgspec
from msgspec import Raw
from typing_extensions import override

from headpond.domain.job import Job, JobState
from headpond.domain.one_line import on_one_line
from headpond.errors import InvalidRequest
from headpond.gateway.batch_schema import (
    LineFault,
    LineResponse,
    NamedLine,
    RequestLine,
    ResultLine,
)
from headpond.gateway.body import BodyReader
from headpond.gateway.chat import ChatReader
from headpond.gateway.envelope import ErrorBody, ErrorEnvelope
from headpond.gateway.intake import Asked, Inspection
from headpond.gateway.response_mapping import response_view
from headpond.gateway.responses import ResponseReader
from headpond.ports.batches import Line
from headpond.services.line_format import LineFormat, LineRequest
from headpond.settings import GatewaySettings

EXPIRED = "This request could not be executed before the completion window expired."
CANCELLED = "This request was not executed: the batch was cancelled."
GONE = "The result of this request is not kept any more."

_encode = msgspec.json.Encoder().encode
_decode_name = msgspec.json.Decoder(NamedLine).decode


class BatchLineFormat(LineFormat):
    """OpenAI's formats."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._bodies = BodyReader(settings)
        self._inspection = Inspection(settings)
        chats = ChatReader(self._bodies, self._inspection, settings)
        responses = ResponseReader(self._bodies, self._inspection)
        self._readers: Mapping[str, Callable[[bytes], Asked]] = {
            "/v1/chat/completions": chats.asked,
            "/v1/responses": responses.asked,
        }
        self._decoder = msgspec.json.Decoder(RequestLine)

    @override
    def request(self, endpoint: str, text: bytes) -> LineRequest:
        line = self._bodies.decode(text, self._decoder)
        if line.url != endpoint:
            message = f"The url is {line.url[:64]!r}, the batch's endpoint {endpoint!r}."
            raise InvalidRequest(message, code="mismatched_url", param="url")
        try:
            asked = self._readers[endpoint](bytes(line.body))
            order = self._inspection.order(_fit_for_a_batch(asked))
        except InvalidRequest as error:
            return LineRequest(line.custom_id, error)
        return LineRequest(line.custom_id, order)

    @override
    def custom_id(self, text: bytes) -> str:
        return _decode_name(text).custom_id

    @override
    def result(self, endpoint: str, custom_id: str, line: Line) -> bytes:
        job = line.job
        if job.erased_at is not None:
            return self.gone(custom_id)
        match job.state:
            case JobState.SUCCEEDED:
                return _answered(job, custom_id, 200, _body(endpoint, line))
            case JobState.FAILED:
                return _answered(job, custom_id, 400, _envelope(job, "invalid_request_error"))
            case JobState.DEAD:
                return _answered(job, custom_id, 502, _envelope(job, "server_error"))
            case JobState.EXPIRED:
                return _unanswered(job, custom_id, "batch_expired", EXPIRED)
            case JobState.CANCELLED:
                return _unanswered(job, custom_id, "batch_cancelled", CANCELLED)
            case JobState.ACCEPTED | JobState.QUEUED | JobState.RUNNING:
                raise ValueError(f"{job.id} has not ended")
            case _:  # pragma: no cover
                assert_never(job.state)

    @override
    def gone(self, custom_id: str) -> bytes:
        fault = LineFault("result_expired", GONE)
        return _encode(ResultLine(id="batch_req_gone", custom_id=custom_id, error=fault))


def _fit_for_a_batch(asked: Asked) -> Asked:
    if asked.deadline is not None or asked.expires_in is not None:
        message = "A line has as long as the completion_window of its batch; leave deadline out."
        raise InvalidRequest(message, code="unsupported_parameter", param="deadline")
    if asked.stream:
        message = "Nobody follows the lines of a batch; leave stream out."
        raise InvalidRequest(message, code="unsupported_parameter", param="stream")
    return asked


def _body(endpoint: str, line: Line) -> bytes:
    if endpoint == "/v1/responses":
        return _encode(response_view(line.job, line.bodies))
    # As the engine sent it, but on one line.
    return on_one_line(line.bodies.response or b"null")


def _envelope(job: Job, kind: str) -> bytes:
    code, message = (job.error.code, job.error.message) if job.error else ("unknown", "No reason.")
    return _encode(ErrorEnvelope(ErrorBody(message=message, type=kind, code=code)))


def _answered(job: Job, custom_id: str, status: int, body: bytes) -> bytes:
    response = LineResponse(status_code=status, request_id=job.id, body=Raw(body))
    return _encode(ResultLine(id=_line_id(job), custom_id=custom_id, response=response))


def _unanswered(job: Job, custom_id: str, code: str, message: str) -> bytes:
    fault = LineFault(code, message)
    return _encode(ResultLine(id=_line_id(job), custom_id=custom_id, error=fault))


def _line_id(job: Job) -> str:
    return "batch_req_" + job.id.removeprefix("job_")
