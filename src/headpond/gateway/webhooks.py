"""/v1/webhook_endpoints: where a team's events go; the official client's `client.webhooks`."""

from typing import TypeVar

import msgspec
from starlette.types import ASGIApp

from headpond.domain.dispatch import DispatchState
from headpond.domain.webhook_event import EventType
from headpond.errors import InvalidRequest
from headpond.gateway.body import BodyReader
from headpond.gateway.endpoint import Answer, Call, Operation, Parameter
from headpond.gateway.jobs import LIMIT, page_limit
from headpond.gateway.reply import json_reply
from headpond.gateway.webhook_schema import (
    DeletedEndpoint,
    DeliveryList,
    EndpointChange,
    EndpointList,
    EndpointView,
    EventTypeList,
    NewEndpoint,
    Redelivered,
    Redelivery,
    Rotation,
    Sample,
    SampleResult,
    delivery_view,
    endpoint_view,
    endpoint_with_secret,
)
from headpond.services.webhooks import OVERLAP_S, Webhooks

T = TypeVar("T")

STATUS = Parameter(
    name="status",
    schema={"type": "string", "enum": [state.value for state in DispatchState]},
    description="Only deliveries that stand so.",
)
AFTER = Parameter(
    name="after", schema={"type": "string"}, description="Only deliveries older than this one."
)
BODY_ERRORS = (404, 408, 413, 415)


class WebhookRoutes:
    """A team's endpoints. `callbacks` is the id of the one that signs the callbacks of jobs."""

    def __init__(self, webhooks: Webhooks, bodies: BodyReader) -> None:
        self._webhooks = webhooks
        self._bodies = bodies
        self._new = msgspec.json.Decoder(NewEndpoint)
        self._change = msgspec.json.Decoder(EndpointChange)
        self._rotation = msgspec.json.Decoder(Rotation)
        self._sample = msgspec.json.Decoder(Sample)
        self._redelivery = msgspec.json.Decoder(Redelivery)

    def operations(self) -> list[Operation]:
        """OpenAI's first, then the two about deliveries."""
        return [
            Operation(
                method="POST",
                path="/v1/webhook_endpoints",
                handler=self._create,
                summary="Make a webhook endpoint",
                body=NewEndpoint,
                answer=Answer(type=EndpointView, description="With its secret, this once."),
                errors=BODY_ERRORS,
            ),
            Operation(
                method="GET",
                path="/v1/webhook_endpoints",
                handler=self._list,
                summary="List webhook endpoints",
                parameters=(LIMIT, AFTER),
                answer=Answer(type=EndpointList),
                errors=(404,),
            ),
            Operation(
                method="GET",
                path="/v1/webhook_event_types",
                handler=self._event_types,
                summary="List the types of events",
                answer=Answer(type=EventTypeList),
            ),
            Operation(
                method="GET",
                path="/v1/webhook_endpoints/{id}",
                handler=self._show,
                summary="Show a webhook endpoint",
                answer=Answer(type=EndpointView),
                errors=(404,),
            ),
            Operation(
                method="POST",
                path="/v1/webhook_endpoints/{id}",
                handler=self._update,
                summary="Change a webhook endpoint, or enable it again",
                body=EndpointChange,
                answer=Answer(type=EndpointView),
                errors=BODY_ERRORS,
            ),
            Operation(
                method="DELETE",
                path="/v1/webhook_endpoints/{id}",
                handler=self._delete,
                summary="Delete a webhook endpoint",
                answer=Answer(type=DeletedEndpoint),
                errors=(404,),
            ),
            Operation(
                method="POST",
                path="/v1/webhook_endpoints/{id}/rotate_secret",
                handler=self._rotate,
                summary="Give a webhook endpoint a new secret",
                body=Rotation,
                answer=Answer(type=EndpointView, description="With its secret, this once."),
                errors=BODY_ERRORS,
            ),
            Operation(
                method="POST",
                path="/v1/webhook_endpoints/{id}/test",
                handler=self._test,
                summary="Send a sample event now",
                body=Sample,
                answer=Answer(type=SampleResult),
                errors=BODY_ERRORS,
            ),
            Operation(
                method="GET",
                path="/v1/webhook_endpoints/{id}/deliveries",
                handler=self._deliveries,
                summary="List deliveries to a webhook endpoint, newest first",
                parameters=(STATUS, LIMIT, AFTER),
                answer=Answer(type=DeliveryList),
                errors=(404,),
            ),
            Operation(
                method="POST",
                path="/v1/webhook_endpoints/{id}/redeliver",
                handler=self._redeliver,
                summary="Send an event again, or all that were given up",
                body=Redelivery,
                answer=Answer(type=Redelivered),
                errors=BODY_ERRORS,
            ),
        ]

    async def _create(self, call: Call) -> ASGIApp:
        new = await self._read(call, self._new)
        endpoint = await self._webhooks.create(
            call.identity.team, url=new.url, event_types=new.event_types, name=new.name
        )
        return json_reply(endpoint_with_secret(endpoint))

    async def _list(self, call: Call) -> ASGIApp:
        limit = page_limit(call.query)
        endpoints = list(reversed(await self._webhooks.all(call.identity.team)))
        if after := call.query.get("after"):
            known = await self._webhooks.endpoint(call.identity.team, after)
            endpoints = [one for one in endpoints if one.created_at < known.created_at]
        views = [endpoint_view(endpoint) for endpoint in endpoints[:limit]]
        return json_reply(
            EndpointList(
                data=views,
                first_id=views[0].id if views else None,
                last_id=views[-1].id if views else None,
                has_more=len(endpoints) > limit,
            )
        )

    async def _event_types(self, call: Call) -> ASGIApp:
        del call
        return json_reply(EventTypeList(data=list(EventType)))

    async def _show(self, call: Call) -> ASGIApp:
        return json_reply(endpoint_view(await self._webhooks.endpoint(call.identity.team, call.id)))

    async def _update(self, call: Call) -> ASGIApp:
        change = await self._read(call, self._change)
        endpoint = await self._webhooks.update(
            call.identity.team,
            call.id,
            name=change.name,
            url=change.url,
            event_types=change.event_types,
        )
        return json_reply(endpoint_view(endpoint))

    async def _delete(self, call: Call) -> ASGIApp:
        await self._webhooks.remove(call.identity.team, call.id)
        return json_reply(DeletedEndpoint(id=call.id))

    async def _rotate(self, call: Call) -> ASGIApp:
        rotation = await self._read(call, self._rotation)
        overlap_s = OVERLAP_S if rotation.keep_old_secret_active_for_24_hours else 0.0
        endpoint = await self._webhooks.rotate(call.identity.team, call.id, overlap_s=overlap_s)
        return json_reply(endpoint_with_secret(endpoint))

    async def _test(self, call: Call) -> ASGIApp:
        sample = await self._read(call, self._sample)
        status = await self._webhooks.test(call.identity.team, call.id, sample.event_type)
        return json_reply(
            SampleResult(
                webhook_endpoint_id=call.id, event_type=sample.event_type, status_code=status
            )
        )

    async def _deliveries(self, call: Call) -> ASGIApp:
        limit = page_limit(call.query)
        found = await self._webhooks.deliveries(
            call.identity.team,
            call.id,
            state=_state(call.query.get("status")),
            after=call.query.get("after"),
            limit=limit + 1,
        )
        listed = [delivery_view(dispatch) for dispatch in found[:limit]]
        return json_reply(DeliveryList(data=listed, has_more=len(found) > limit))

    async def _redeliver(self, call: Call) -> ASGIApp:
        wanted = await self._read(call, self._redelivery)
        count = await self._webhooks.redeliver(call.identity.team, call.id, wanted.id)
        return json_reply(Redelivered(count=count))

    async def _read(self, call: Call, decoder: msgspec.json.Decoder[T]) -> T:
        return self._bodies.decode(await self._bodies.read(call), decoder)


def _state(text: str | None) -> DispatchState | None:
    if text is None:
        return None
    try:
        return DispatchState(text)
    except ValueError as error:
        message = f"status must be one of {', '.join(DispatchState)}."
        raise InvalidRequest(message, code="invalid_value", param="status") from error
