"""/dead-letters: every team's, for operators."""

import re
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.responses import StreamingResponse
from starlette.types import ASGIApp

from headpond.domain.cause import Cause, CauseGroup, cause_of
from headpond.domain.job import Job, JobId
from headpond.errors import InvalidRequest
from headpond.gateway.body import BodyReader
from headpond.gateway.endpoint import Answer, Call, Operation, Parameter
from headpond.gateway.jobs import LIMIT, job_id, page_limit
from headpond.gateway.reply import json_reply
from headpond.ports.dead_letters import DeadQuery
from headpond.services.dead_letters import Case, Selection, Tally, Triage

_TIME = {"type": "number", "minimum": 0}
_UNIX_S = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")

FILTERS = (
    Parameter(name="cause", schema={"type": "string"}, description="Only this group's."),
    Parameter(name="team", schema={"type": "string"}, description="Only this team's."),
    Parameter(name="model", schema={"type": "string"}, description="Only this model's."),
    Parameter(name="code", schema={"type": "string"}, description="Only with this error code."),
    Parameter(name="since", schema=_TIME, description="Died then or later; Unix seconds."),
    Parameter(name="until", schema=_TIME, description="Died before then; Unix seconds."),
)

Moment = Annotated[float, Meta(ge=0, description="Unix seconds")]


class Chosen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters; each field narrows. `all` must be true where none is given."""

    id: str | None = None
    cause: str | None = None
    team: str | None = None
    model: str | None = None
    code: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    all: bool = False
    dry_run: bool = False


class RedriveRequest(Chosen, frozen=True, kw_only=True):
    """Body of POST /dead-letters/redrive."""

    per_second: Annotated[float, Meta(gt=0, le=100_000)] | None = None


class DeadLetter(msgspec.Struct, frozen=True):
    """A record with the cause of its death."""

    cause: Cause
    job: Job


class DeadLetterList(msgspec.Struct, frozen=True, kw_only=True):
    """Oldest death first. With `has_more`, go on `since` the last one's `finished_at`."""

    data: list[DeadLetter]
    has_more: bool


class DeadLetterGroups(msgspec.Struct, frozen=True):
    """The largest group first."""

    data: list[CauseGroup]


class DeadLetterRoutes:
    """Look at dead letters, and put them back or give them up."""

    def __init__(self, triage: Triage, bodies: BodyReader) -> None:
        self._triage = triage
        self._bodies = bodies
        self._redrive_decoder = msgspec.json.Decoder(RedriveRequest)
        self._discard_decoder = msgspec.json.Decoder(Chosen)

    def operations(self) -> list[Operation]:
        """All for operators."""
        return [
            Operation(
                method="GET",
                path="/dead-letters",
                handler=self._list,
                summary="List dead letters",
                parameters=(*FILTERS, LIMIT),
                answer=Answer(type=DeadLetterList),
                operator=True,
            ),
            Operation(
                method="GET",
                path="/dead-letters/groups",
                handler=self._groups,
                summary="Group dead letters by cause",
                parameters=FILTERS,
                answer=Answer(type=DeadLetterGroups),
                operator=True,
            ),
            Operation(
                method="GET",
                path="/dead-letters/export",
                handler=self._export,
                summary="Export dead letters as evaluation cases",
                parameters=FILTERS,
                answer=Answer(media="application/x-ndjson", description="A case a line."),
                operator=True,
            ),
            Operation(
                method="GET",
                path="/dead-letters/{id}",
                handler=self._show,
                summary="Show a dead letter with its request",
                answer=Answer(type=Case),
                errors=(404,),
                operator=True,
            ),
            Operation(
                method="POST",
                path="/dead-letters/redrive",
                handler=self._redrive,
                summary="Put dead letters back into their lanes",
                body=RedriveRequest,
                answer=Answer(type=Tally),
                errors=(404, 408, 413, 415),
                operator=True,
            ),
            Operation(
                method="POST",
                path="/dead-letters/discard",
                handler=self._discard,
                summary="Give dead letters up",
                body=Chosen,
                answer=Answer(type=Tally),
                errors=(404, 408, 413, 415),
                operator=True,
            ),
        ]

    async def _list(self, call: Call) -> ASGIApp:
        limit = page_limit(call.query)
        found: list[DeadLetter] = []
        async for job in self._triage.letters(_asked(call)):
            found.append(DeadLetter(cause_of(job.error), job))
            if len(found) > limit:
                break
        return json_reply(DeadLetterList(data=found[:limit], has_more=len(found) > limit))

    async def _groups(self, call: Call) -> ASGIApp:
        return json_reply(DeadLetterGroups(await self._triage.groups(_asked(call))))

    async def _export(self, call: Call) -> ASGIApp:
        lines = _lines(self._triage.cases(_asked(call)))
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def _show(self, call: Call) -> ASGIApp:
        return json_reply(await self._triage.case(job_id(call.id)))

    async def _redrive(self, call: Call) -> ASGIApp:
        chosen = self._bodies.decode(await self._bodies.read(call), self._redrive_decoder)
        return json_reply(
            await self._triage.redrive(
                _selection(chosen), per_second=chosen.per_second, dry_run=chosen.dry_run
            )
        )

    async def _discard(self, call: Call) -> ASGIApp:
        chosen = self._bodies.decode(await self._bodies.read(call), self._discard_decoder)
        return json_reply(await self._triage.discard(_selection(chosen), dry_run=chosen.dry_run))


def case_line(case: Case) -> bytes:
    """A case as a line of JSON; the request is the client's own and may hold line breaks."""
    return msgspec.json.encode(case).replace(b"\n", b"").replace(b"\r", b"") + b"\n"


async def _lines(cases: AsyncIterator[Case]) -> AsyncIterator[bytes]:
    async for case in cases:
        yield case_line(case)


def _asked(call: Call) -> Selection:
    query = call.query
    return Selection(
        cause=query.get("cause"),
        query=DeadQuery(
            team=query.get("team"),
            model=query.get("model"),
            code=query.get("code"),
            since=_moment(query.get("since"), "since"),
            until=_moment(query.get("until"), "until"),
        ),
    )


def _moment(text: str | None, name: str) -> float | None:
    if text is None:
        return None
    if not _UNIX_S.fullmatch(text):
        message = f"{name} must be a time in Unix seconds."
        raise InvalidRequest(message, code="invalid_value", param=name)
    return float(text)


def _selection(chosen: Chosen) -> Selection:
    query = DeadQuery(
        team=chosen.team,
        model=chosen.model,
        code=chosen.code,
        since=chosen.since,
        until=chosen.until,
    )
    selection = Selection(
        id=None if chosen.id is None else JobId(chosen.id), cause=chosen.cause, query=query
    )
    if selection == Selection() and not chosen.all:
        message = "Say which dead letters are meant, or send all=true."
        raise InvalidRequest(message, code="missing_required_parameter", param="all")
    return selection
