"""/jobs: submit, look, list, cancel."""

import re
from collections.abc import Mapping

import msgspec
from starlette.types import ASGIApp

from headpond.domain.identity import Identity
from headpond.domain.job import Job, JobId, JobState
from headpond.errors import InvalidRequest, NotFound
from headpond.gateway.body import BodyReader
from headpond.gateway.deadlines import deadline_of
from headpond.gateway.endpoint import Answer, Call, Operation, Parameter
from headpond.gateway.idempotency import IDEMPOTENCY_KEY
from headpond.gateway.intake import (
    Asked,
    Intake,
    engine_request,
    poll_url,
    receipt_headers,
)
from headpond.gateway.job_schema import (
    JobAccepted,
    JobList,
    JobRequest,
    JobView,
    OpenJobRequest,
    full_view,
    quote_view,
    view,
)
from headpond.gateway.reply import json_reply
from headpond.gateway.tombstones import Deleted, gone
from headpond.ports.jobs import JobQuery
from headpond.services.desk import Desk
from headpond.services.webhooks import Webhooks
from headpond.settings import GatewaySettings

FOR_HEADPOND = (
    "model",
    "stream",
    "stream_options",
    "metadata",
    "prompt",
    "task_type",
    "priority",
    "deadline",
    "expires_in",
    "best_effort",
    "callback",
)

_JOB_ID = re.compile(r"job_[0-9a-f]{32}")
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,20})?(e[-+]?[0-9]{1,2})?")

SECONDS = {"type": "number", "minimum": 0, "maximum": 86_400}

WAIT = Parameter(
    name="wait",
    schema=SECONDS,
    description="Hold the answer until the job has ended, for at most this many seconds.",
)
LIMIT = Parameter(
    name="limit",
    schema={"type": "integer", "minimum": 1, "maximum": 100, "default": 20},
    description="How many.",
)
STATE = Parameter(
    name="state",
    schema={"type": "string", "enum": [state.value for state in JobState]},
    description="Only jobs in this state.",
)
AFTER = Parameter(
    name="after",
    schema={"type": "string", "pattern": "^job_[0-9a-f]{32}$"},
    description="Only jobs older than this one.",
)


class JobRoutes:
    """Headpond's own job API."""

    def __init__(
        self,
        intake: Intake,
        desk: Desk,
        bodies: BodyReader,
        settings: GatewaySettings,
        *,
        webhooks: Webhooks,
    ) -> None:
        self._intake = intake
        self._desk = desk
        self._bodies = bodies
        self._webhooks = webhooks
        self._max_wait_s = settings.max_wait_s
        self._body_type = JobRequest if settings.unknown_parameters == "refuse" else OpenJobRequest
        self._decoder = msgspec.json.Decoder[JobRequest](self._body_type)

    def operations(self) -> list[Operation]:
        """POST first: routes are tried in this order, and it is the hot one."""
        return [
            Operation(
                method="POST",
                path="/jobs",
                handler=self._create,
                summary="Submit a job",
                body=self._body_type,
                parameters=(IDEMPOTENCY_KEY,),
                answer=Answer(status=202, type=JobAccepted, description="Stored and queued."),
                errors=(404, 408, 413, 415, 422, 429),
            ),
            Operation(
                method="GET",
                path="/jobs",
                handler=self._list,
                summary="List jobs, newest first",
                parameters=(STATE, LIMIT, AFTER),
                answer=Answer(type=JobList),
                errors=(404,),
            ),
            Operation(
                method="GET",
                path="/jobs/{id}",
                handler=self._show,
                summary="Show a job, or wait for its end",
                parameters=(WAIT,),
                answer=Answer(type=JobView),
                errors=(404, 410),
            ),
            Operation(
                method="DELETE",
                path="/jobs/{id}",
                handler=self._delete,
                summary="Erase the request and result of an ended job",
                answer=Answer(type=Deleted),
                errors=(404,),
            ),
            Operation(
                method="POST",
                path="/jobs/{id}/cancel",
                handler=self._cancel,
                summary="Cancel a job",
                answer=Answer(type=JobView),
                errors=(404,),
            ),
        ]

    async def _create(self, call: Call) -> ASGIApp:
        body = await self._bodies.read(call)
        request = self._bodies.decode(body, self._decoder)
        asked = Asked(
            body=body,
            request=engine_request(body, FOR_HEADPOND),
            prompt_param=_prompt_param(request),
            answer_tokens=self._intake.inspection.answer_tokens(
                request.answer_limits, request.n or 1
            ),
            metadata=request.metadata,
            stream=request.stream,
            model=request.model,
            priority=request.priority,
            task_type=request.task_type,
            deadline=deadline_of(request.deadline, request.expires_in),
            expires_in=request.expires_in,
            best_effort=request.best_effort,
            callback=self._callback(request),
        )
        receipt = await self._intake.submit(call, asked)
        accepted = JobAccepted(
            receipt.job.id, receipt.job.state, poll_url(receipt.job), quote_view(receipt.job)
        )
        return json_reply(accepted, 202, receipt_headers(receipt))

    async def _show(self, call: Call) -> ASGIApp:
        job = await self._desk.job(job_id(call.id), call.identity)
        wait_s = seconds(call.query.get("wait", "0"), "wait")
        job = await self._desk.ended(job, min(wait_s, self._max_wait_s))
        if job.erased_at is not None:
            return gone(job)
        return json_reply(await with_result(self._desk, job))

    async def _list(self, call: Call) -> ASGIApp:
        limit = page_limit(call.query)
        query = JobQuery(
            state=_state(call.query.get("state")),
            after=await self._known(call.query.get("after"), call.identity),
            limit=limit + 1,
        )
        jobs = await self._desk.find(query, call.identity)
        listed = [view(job) for job in jobs[:limit]]
        return json_reply(JobList(data=listed, has_more=len(jobs) > limit))

    async def _delete(self, call: Call) -> ASGIApp:
        job = await self._desk.erase(job_id(call.id), call.identity)
        return json_reply(Deleted(id=job.id, object="job"))

    async def _cancel(self, call: Call) -> ASGIApp:
        job = await self._desk.cancel(job_id(call.id), call.identity)
        return json_reply(await with_result(self._desk, job))

    def _callback(self, request: JobRequest) -> str | None:
        if request.callback is None:
            return None
        self._webhooks.check_url(request.callback.url, "callback.url")
        return request.callback.url

    async def _known(self, after: str | None, identity: Identity) -> JobId | None:
        if after is None:
            return None
        return (await self._desk.job(job_id(after), identity)).id


async def with_result(desk: Desk, job: Job) -> JobView:
    """The whole job; its bodies are read only if it succeeded."""
    if job.state is not JobState.SUCCEEDED or job.erased_at is not None:
        return full_view(job, None)
    return full_view(job, (await desk.bodies(job)).response)


def job_id(text: str) -> JobId:
    """A well-formed id. Raises NotFound: no job has another."""
    if not _JOB_ID.fullmatch(text):
        message = f"There is no job {text[:64]!r}."
        raise NotFound(message, code="job_not_found", param="id")
    return JobId(text)


def seconds(text: str, name: str) -> float:
    """A span from a query or header. Raises InvalidRequest."""
    if not _SECONDS.fullmatch(text):
        message = f"{name} must be a number of seconds, 0 or more."
        raise InvalidRequest(message, code="invalid_value", param=name)
    return float(text)


def _prompt_param(request: JobRequest) -> str:
    """The one of two fields that the messages came in. Raises InvalidRequest."""
    match request.prompt, request.messages:
        case None, None:
            message = "Send a prompt or messages."
            raise InvalidRequest(message, code="missing_required_parameter", param="prompt")
        case None, _:
            return "messages"
        case _, None:
            return "prompt"
        case _:
            message = "Send either prompt or messages, not both."
            raise InvalidRequest(message, code="invalid_value", param="prompt")


def page_limit(query: Mapping[str, str]) -> int:
    """How many of a list. Raises InvalidRequest."""
    text = query.get("limit", "20")
    if not _WHOLE_NUMBER.fullmatch(text) or not 1 <= int(text) <= 100:  # noqa: PLR2004
        message = "limit must be a whole number from 1 to 100."
        raise InvalidRequest(message, code="invalid_value", param="limit")
    return int(text)


def _state(text: str | None) -> JobState | None:
    if text is None:
        return None
    try:
        return JobState(text)
    except ValueError as error:
        message = f"state must be one of {', '.join(JobState)}."
        raise InvalidRequest(message, code="invalid_value", param="state") from error
