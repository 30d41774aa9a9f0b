"""The gateway as an ASGI app, put together from connected parts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from headpond.domain.catalogue import Catalogue
from headpond.domain.lane import Lane
from headpond.errors import NotFound
from headpond.gateway.batches import BatchRoutes
from headpond.gateway.body import BodyReader
from headpond.gateway.boundary import Boundary
from headpond.gateway.chat import ChatReader, ChatRoutes
from headpond.gateway.chat_stream import ChatStreams
from headpond.gateway.dead_letters import DeadLetterRoutes
from headpond.gateway.endpoint import Endpoint, Operation
from headpond.gateway.files import FileRoutes
from headpond.gateway.health import HealthRoutes
from headpond.gateway.intake import Inspection, Intake
from headpond.gateway.job_events import JobEventRoutes
from headpond.gateway.job_stream import JobStreamRoutes
from headpond.gateway.jobs import JobRoutes
from headpond.gateway.local_door import LocalDoor
from headpond.gateway.models import ModelRoutes
from headpond.gateway.openapi import DocumentRoutes
from headpond.gateway.response_stream import ResponseStreams
from headpond.gateway.responses import ResponseReader, ResponseRoutes
from headpond.gateway.webhooks import WebhookRoutes
from headpond.ports.clock import Clock
from headpond.ports.events import Listener
from headpond.ports.outbox import Outbox
from headpond.ports.queue import Queue
from headpond.ports.streams import TokenStreams
from headpond.services.authentication import Authentication
from headpond.services.batches import Batches
from headpond.services.dead_letters import Triage
from headpond.services.desk import Desk
from headpond.services.files import Files
from headpond.services.playback import Playback
from headpond.services.submission import Submission
from headpond.services.webhooks import Webhooks
from headpond.settings import GatewaySettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Everything the gateway talks to, connected by whoever calls `create_app`.

    `lanes` are those whose depth is shown.
    """

    settings: GatewaySettings
    submission: Submission
    desk: Desk
    triage: Triage
    files: Files
    batches: Batches
    max_file_bytes: int
    authentication: Authentication
    catalogue: Catalogue
    webhooks: Webhooks
    outbox: Outbox
    queue: Queue
    streams: TokenStreams
    lanes: Sequence[Lane]
    clock: Clock
    listener: Listener
    render_metrics: Callable[[], bytes]


def create_app(parts: Parts) -> ASGIApp:
    """The app; it holds no global state, so a process may have several."""
    operations = _operations(parts)
    by_path: dict[str, list[Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, []).append(operation)
    door = LocalDoor(parts.settings.host)
    endpoints = {
        path: Endpoint(on_path, parts.authentication, door) for path, on_path in by_path.items()
    }
    router = Router(
        [Route(path, endpoint) for path, endpoint in endpoints.items()],
        redirect_slashes=False,
        default=_nothing_here,
    )
    # A path without parameters needs no search.
    fixed = {path: endpoint for path, endpoint in endpoints.items() if "{" not in path}
    return Boundary(router, fixed, parts.listener)


def _operations(parts: Parts) -> list[Operation]:
    settings, desk = parts.settings, parts.desk
    bodies, inspection = BodyReader(settings), Inspection(settings)
    intake = Intake(parts.submission, inspection)
    chats = ChatReader(bodies, inspection, settings)
    responses = ResponseReader(bodies, inspection)
    playback = Playback(parts.streams, desk)
    chat_streams = ChatStreams(desk, playback, parts.listener)
    response_streams = ResponseStreams(desk, playback, parts.listener)
    operations = [
        *JobRoutes(intake, desk, bodies, settings, webhooks=parts.webhooks).operations(),
        *ChatRoutes(chats, intake, desk, bodies, settings, streams=chat_streams).operations(),
        *ResponseRoutes(
            responses, intake, desk, bodies, settings, streams=response_streams
        ).operations(),
        *FileRoutes(parts.files, parts.clock, parts.max_file_bytes).operations(),
        *BatchRoutes(parts.batches, bodies).operations(),
        *JobEventRoutes(desk, parts.listener).operations(),
        *DeadLetterRoutes(parts.triage, bodies).operations(),
        *JobStreamRoutes(desk, playback, parts.listener).operations(),
        *ModelRoutes(parts.catalogue).operations(),
        *WebhookRoutes(parts.webhooks, bodies).operations(),
        *HealthRoutes(
            desk,
            parts.queue,
            parts.lanes,
            parts.render_metrics,
            outbox=parts.outbox,
            clock=parts.clock,
        ).operations(),
    ]
    return [*operations, *DocumentRoutes(operations).operations()]


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await WebSocketClose()(scope, receive, send)
        return
    message = f"There is nothing at {scope['method']} {scope['path'][:128]}."
    raise NotFound(message, code="unknown_url")
