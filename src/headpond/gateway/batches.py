"""/v1/batches: create, retrieve, list, cancel."""

import re

import msgspec
from starlette.types import ASGIApp

from headpond.domain.batch import window_s
from headpond.domain.identity import Identity
from headpond.domain.job import BatchId
from headpond.errors import InvalidRequest, NotFound
from headpond.gateway.batch_schema import BatchList, BatchRequest, BatchView, view
from headpond.gateway.body import BodyReader
from headpond.gateway.endpoint import Answer, Call, Operation, Parameter
from headpond.gateway.files import file_id
from headpond.gateway.paging import limit, limit_parameter
from headpond.gateway.reply import json_reply
from headpond.ports.batches import BatchQuery
from headpond.services.batches import Batches, BatchOrder

MOST = 100
DEFAULT = 20

AFTER = Parameter(
    name="after",
    schema={"type": "string", "pattern": "^batch_[0-9a-f]{32}$"},
    description="Only batches older than this one.",
)

_BATCH_ID = re.compile(r"batch_[0-9a-f]{32}")


class BatchRoutes:
    """OpenAI's batch API."""

    def __init__(self, batches: Batches, bodies: BodyReader) -> None:
        self._batches = batches
        self._bodies = bodies
        self._decoder = msgspec.json.Decoder(BatchRequest)

    def operations(self) -> list[Operation]:
        """All four."""
        return [
            Operation(
                method="POST",
                path="/v1/batches",
                handler=self._create,
                summary="Create a batch",
                body=BatchRequest,
                answer=Answer(type=BatchView),
                errors=(404, 408, 413, 415, 429),
            ),
            Operation(
                method="GET",
                path="/v1/batches",
                handler=self._list,
                summary="List batches, newest first",
                parameters=(AFTER, limit_parameter(most=MOST, default=DEFAULT)),
                answer=Answer(type=BatchList),
                errors=(404,),
            ),
            Operation(
                method="GET",
                path="/v1/batches/{id}",
                handler=self._show,
                summary="Retrieve a batch",
                answer=Answer(type=BatchView),
                errors=(404,),
            ),
            Operation(
                method="POST",
                path="/v1/batches/{id}/cancel",
                handler=self._cancel,
                summary="Cancel a batch",
                answer=Answer(type=BatchView),
                errors=(404,),
            ),
        ]

    async def _create(self, call: Call) -> ASGIApp:
        request = self._bodies.decode(await self._bodies.read(call), self._decoder)
        window = window_s(request.completion_window)
        if window is None:
            message = "The longest completion_window is 30d."
            raise InvalidRequest(message, code="invalid_value", param="completion_window")
        expiry = request.output_expires_after
        order = BatchOrder(
            endpoint=request.endpoint,
            input_file=file_id(request.input_file_id),
            completion_window=request.completion_window,
            window_s=window,
            metadata=request.metadata or {},
            output_ttl_s=None if expiry is None else expiry.seconds,
        )
        return json_reply(view(await self._batches.create(order, call.identity)))

    async def _list(self, call: Call) -> ASGIApp:
        many = limit(call, most=MOST, default=DEFAULT)
        query = BatchQuery(
            team=call.identity.team,
            after=await self._known(call.query.get("after"), call.identity),
            limit=many + 1,
        )
        batches = await self._batches.find(query)
        data = [view(batch) for batch in batches[:many]]
        return json_reply(
            BatchList(
                data=data,
                first_id=data[0].id if data else None,
                last_id=data[-1].id if data else None,
                has_more=len(batches) > many,
            )
        )

    async def _show(self, call: Call) -> ASGIApp:
        return json_reply(view(await self._batches.batch(_batch_id(call.id), call.identity)))

    async def _cancel(self, call: Call) -> ASGIApp:
        return json_reply(view(await self._batches.cancel(_batch_id(call.id), call.identity)))

    async def _known(self, after: str | None, identity: Identity) -> BatchId | None:
        if after is None:
            return None
        return (await self._batches.batch(_batch_id(after), identity)).id


def _batch_id(text: str) -> BatchId:
    """A well-formed id. Raises NotFound: no batch has another."""
    if not _BATCH_ID.fullmatch(text):
        message = f"There is no batch {text[:64]!r}."
        raise NotFound(message, code="batch_not_found", param="id")
    return BatchId(text)
