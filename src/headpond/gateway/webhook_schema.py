"""Wire types of webhook endpoints: OpenAI's, with what Headpond adds."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from headpond.domain.dispatch import Dispatch, DispatchState
from headpond.domain.public_address import MAX_URL_CHARS
from headpond.domain.webhook_endpoint import Endpoint
from headpond.domain.webhook_event import EventType
from headpond.domain.webhook_signature import SECRET_PREFIX
from headpond.services.webhooks import CALLBACKS, MAX_NAME_CHARS

Url = Annotated[str, Meta(min_length=1, max_length=MAX_URL_CHARS)]
EndpointName = Annotated[str, Meta(max_length=MAX_NAME_CHARS)]
EventTypes = Annotated[list[EventType], Meta(min_length=1, max_length=100)]

HINT_CHARS = len(SECRET_PREFIX) + 4


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of POST /v1/webhook_endpoints."""

    url: Url
    event_types: EventTypes
    name: EndpointName = ""


class EndpointChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays. Any change, an empty one too, enables the endpoint again."""

    url: Url | None = None
    event_types: EventTypes | None = None
    name: EndpointName | None = None


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Without an overlap the old secret signs nothing more: right if others know it."""

    keep_old_secret_active_for_24_hours: bool = False


class Sample(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which type of event to send."""

    event_type: EventType


class Redelivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One event by its `webhook-id`, or everything that was given up."""

    id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as its team sees it. Times are Unix seconds.

    `signing_secret` is shown once, when it is made. The endpoint `callbacks` has no URL.
    """

    id: str
    object: Literal["webhook_endpoint"] = "webhook_endpoint"
    name: str
    url: str | None
    event_types: list[EventType]
    created_at: int
    signing_secret_hint: str
    status: Literal["enabled", "disabled"]
    disabled_at: float | None
    disabled_reason: str | None
    failing_since: float | None
    signing_secret: str | UnsetType = UNSET


class EndpointList(msgspec.Struct, frozen=True, kw_only=True):
    """All of a team's: there are never more than a few."""

    object: Literal["list"] = "list"
    data: list[EndpointView]
    first_id: str | None
    last_id: str | None
    has_more: bool = False


class DeletedEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """It is gone, with what was on its way to it."""

    id: str
    object: Literal["webhook_endpoint.deleted"] = "webhook_endpoint.deleted"
    deleted: bool = True


class SampleResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the endpoint answered."""

    webhook_endpoint_id: str
    object: Literal["webhook_endpoint.test"] = "webhook_endpoint.test"
    event_type: EventType
    status_code: int
    success: bool = True


class EventTypeList(msgspec.Struct, frozen=True, kw_only=True):
    """Every type that there is."""

    object: Literal["list"] = "list"
    data: list[EventType]


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to the endpoint; `id` is its `webhook-id`. Times are Unix seconds."""

    id: str
    object: Literal["webhook_endpoint.delivery"] = "webhook_endpoint.delivery"
    event_type: EventType
    url: str | None
    status: DispatchState
    attempts: int
    occurred_at: float
    attempted_at: float | None
    next_attempt_at: float | None
    ended_at: float | None
    status_code: int | None
    error: str | None


class DeliveryList(msgspec.Struct, frozen=True, kw_only=True):
    """Newest first. With `has_more`, the next page is `?after=` the last one's id."""

    object: Literal["list"] = "list"
    data: list[DeliveryView]
    has_more: bool


class Redelivered(msgspec.Struct, frozen=True, kw_only=True):
    """How many deliveries are pending again."""

    object: Literal["webhook_endpoint.redelivery"] = "webhook_endpoint.redelivery"
    count: int


def public_id(endpoint: Endpoint) -> str:
    """What its team calls it."""
    return CALLBACKS if endpoint.url is None else endpoint.id


def endpoint_view(endpoint: Endpoint) -> EndpointView:
    """The endpoint without its secret."""
    return EndpointView(
        id=public_id(endpoint),
        name=endpoint.name,
        url=endpoint.url,
        event_types=list(endpoint.event_types),
        created_at=int(endpoint.created_at),
        signing_secret_hint=endpoint.signers[0].secret[:HINT_CHARS],
        status="enabled" if endpoint.disabled_at is None else "disabled",
        disabled_at=endpoint.disabled_at,
        disabled_reason=endpoint.disabled_reason,
        failing_since=endpoint.failing_since,
    )


def endpoint_with_secret(endpoint: Endpoint) -> EndpointView:
    """The endpoint with the secret that was just made."""
    return msgspec.structs.replace(
        endpoint_view(endpoint), signing_secret=endpoint.signers[0].secret
    )


def delivery_view(dispatch: Dispatch) -> DeliveryView:
    """The dispatch without its body."""
    return DeliveryView(
        id=dispatch.event.id,
        event_type=dispatch.event.type,
        url=dispatch.url,
        status=dispatch.state,
        attempts=dispatch.attempts,
        occurred_at=dispatch.event.occurred_at,
        attempted_at=dispatch.attempted_at,
        next_attempt_at=dispatch.due_at,
        ended_at=dispatch.ended_at,
        status_code=dispatch.status,
        error=dispatch.error,
    )
