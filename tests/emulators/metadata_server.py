"""The metadata services of three clouds and of ECS, as their documents describe them.

EC2 wants a token that was fetched by PUT (IMDSv2), Azure and Google Cloud a header; nothing answers
without. What they say is a field each.
"""

import secrets
from typing import Any

from aiohttp import web

MACHINE = "worker_3"
TASK = "0123456789abcdef0123456789abcdef"


class Metadata:
    """A machine of which nothing is to be told yet."""

    def __init__(self) -> None:
        self.spot_action: dict[str, str] | None = None
        self.events: list[dict[str, Any]] = []
        self.preempted = False
        self.desired_status = "RUNNING"
        """Of the task of ECS, which is running."""
        self._tokens: set[str] = set()

    def app(self) -> web.Application:
        """All of them at one address."""
        app = web.Application()
        app.router.add_put("/latest/api/token", self._token)
        app.router.add_get("/latest/meta-data/spot/instance-action", self._spot)
        app.router.add_get("/metadata/scheduledevents", self._events)
        app.router.add_get("/metadata/instance/compute/name", self._name)
        app.router.add_get("/computeMetadata/v1/instance/preempted", self._preempted)
        app.router.add_get("/v4/task", self._task)
        return app

    async def _token(self, request: web.Request) -> web.Response:
        if not 0 < int(request.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "0")) <= 21_600:
            raise web.HTTPBadRequest
        token = secrets.token_urlsafe(16)
        self._tokens.add(token)
        return web.Response(text=token)

    async def _spot(self, request: web.Request) -> web.Response:
        if request.headers.get("X-aws-ec2-metadata-token") not in self._tokens:
            raise web.HTTPUnauthorized
        if self.spot_action is None:
            raise web.HTTPNotFound
        return web.json_response(self.spot_action)

    async def _events(self, request: web.Request) -> web.Response:
        _of_azure(request)
        return web.json_response({"DocumentIncarnation": 1, "Events": self.events})

    async def _name(self, request: web.Request) -> web.Response:
        _of_azure(request)
        assert request.query["format"] == "text"
        return web.Response(text=MACHINE)

    async def _preempted(self, request: web.Request) -> web.Response:
        if request.headers.get("Metadata-Flavor") != "Google":
            raise web.HTTPForbidden
        return web.Response(text="TRUE" if self.preempted else "FALSE")

    async def _task(self, request: web.Request) -> web.Response:
        del request
        arn = f"arn:aws:ecs:eu-central-1:123456789012:task/models/{TASK}"
        status = {"DesiredStatus": self.desired_status, "KnownStatus": "RUNNING"}
        return web.json_response({"Cluster": "models", "TaskARN": arn, **status, "Containers": []})


def _of_azure(request: web.Request) -> None:
    if request.headers.get("Metadata") != "true" or "api-version" not in request.query:
        raise web.HTTPBadRequest
