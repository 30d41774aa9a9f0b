"""As much of ECS as the fleet talks to: one service, its tasks, and their protection.

It follows the documented behaviour of the real one: tasks that are to end have the desired status
STOPPED at once and end later, protected ones are not chosen for scale-in, lists are paged, and
what goes wrong with one task is told among `failures`. The service's scheduler acts at once; tasks
run, and stopped ones end, when `settle` says so. Containers have no health checks, so that nobody
knows how tasks are. There are no instances and no deployments.
"""

import json
import time
from itertools import count
from typing import Any

from aiohttp import web

from tests.emulators.serving import Trouble

REGION, CLUSTER, NAME = "eu-central-1", "models", "workers"
TARGET = "AmazonEC2ContainerServiceV20141113."
ARN = f"arn:aws:ecs:{REGION}:123456789012:task/{CLUSTER}/"
PAGE = 3
"""The real one gives 100 at once."""


class Ecs:
    """A cluster `models` with the service `workers`, which has no tasks yet."""

    def __init__(self) -> None:
        self.desired = 0
        self.tasks: dict[str, dict[str, Any]] = {}
        self.protected: dict[str, int] = {}
        """Minutes, by the task's ARN."""
        self.unprotectable: set[str] = set()
        self.trouble = Trouble()
        self.refuse: tuple[int, str] | None = None
        """Status and type of every answer."""
        self.definition: str | None = "workers:7"
        """None as where somebody else deploys."""
        self.containers: list[dict[str, Any]] = [{"name": "worker"}]
        self._births = count()

    def settle(self) -> None:
        """Agents do what they were told."""
        self.tasks = {a: t for a, t in self.tasks.items() if t["desiredStatus"] == "RUNNING"}
        for task in self.tasks.values():
            task["lastStatus"] = "RUNNING"

    def lose(self, arn: str) -> None:
        """The task's machine is gone; the service starts another task."""
        self.tasks[arn] |= {"desiredStatus": "STOPPED", "lastStatus": "STOPPED"}
        self._reconcile()

    def _reconcile(self) -> None:
        running = [t for t in self.tasks.values() if t["desiredStatus"] == "RUNNING"]
        for _ in range(self.desired - len(running)):
            arn = f"{ARN}{next(self._births):032x}"
            self.tasks[arn] = {
                "taskArn": arn,
                "desiredStatus": "RUNNING",
                "lastStatus": "PROVISIONING",
                "healthStatus": "UNKNOWN",
                "createdAt": time.time(),
            }
        free = [task for task in running if task["taskArn"] not in self.protected]
        for task in free[: max(0, len(running) - self.desired)]:
            task["desiredStatus"] = "STOPPED"

    def app(self) -> web.Application:
        """The server."""
        app = web.Application(middlewares=[self.trouble.middleware])
        app.router.add_post("/", self._handle)
        return app

    async def _handle(self, request: web.Request) -> web.Response:
        """One call, by the name in its header."""
        if self.refuse is not None:
            return _json({"__type": self.refuse[1], "message": "refused"}, self.refuse[0])
        operation = request.headers["X-Amz-Target"].removeprefix(TARGET)
        given = json.loads(await request.read())
        assert given.get("cluster") == (None if operation == "DescribeTaskDefinition" else CLUSTER)
        return _json(getattr(self, f"_{operation}")(given))

    def _DescribeServices(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        found = [name for name in given["services"] if name == NAME]
        defined = {} if self.definition is None else {"taskDefinition": self.definition}
        services = [
            {"serviceName": name, "status": "ACTIVE", "desiredCount": self.desired, **defined}
            for name in found
        ]
        missing = [name for name in given["services"] if name != NAME]
        return {
            "services": services,
            "failures": [_failure(name, "MISSING") for name in missing],
        }

    def _DescribeTaskDefinition(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert given["taskDefinition"] == self.definition
        return {"taskDefinition": {"containerDefinitions": self.containers}}

    def _UpdateService(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        self.desired = given["desiredCount"]
        self._reconcile()
        return {"service": {"serviceName": NAME, "desiredCount": self.desired}}

    def _ListTasks(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        status = given["desiredStatus"]
        arns = [arn for arn, task in self.tasks.items() if task["desiredStatus"] == status]
        first = int(given.get("nextToken", "0"))
        answer: dict[str, Any] = {"taskArns": arns[first : first + PAGE]}
        if len(arns) > first + PAGE:
            answer["nextToken"] = str(first + PAGE)
        return answer

    def _DescribeTasks(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        known = [arn for arn in given["tasks"] if arn in self.tasks]
        failures = [_failure(arn, "MISSING") for arn in given["tasks"] if arn not in self.tasks]
        return {"tasks": [self.tasks[arn] for arn in known], "failures": failures}

    def _UpdateTaskProtection(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert len(given["tasks"]) <= 10
        able = (self.tasks.keys() - self.unprotectable).intersection(given["tasks"])
        failures = [
            _failure(arn, "DEPLOYMENT_BLOCKED" if arn in self.tasks else "MISSING")
            for arn in given["tasks"]
            if arn not in able
        ]
        for arn in able:
            if given["protectionEnabled"]:
                self.protected[arn] = given["expiresInMinutes"]
            else:
                self.protected.pop(arn, None)
        return {"protectedTasks": [self._protection(arn) for arn in able], "failures": failures}

    def _protection(self, arn: str) -> dict[str, Any]:
        if arn not in self.protected:
            return {"taskArn": arn, "protectionEnabled": False}
        until = time.time() + self.protected[arn] * 60
        return {"taskArn": arn, "protectionEnabled": True, "expirationDate": until}


def _failure(arn: str, reason: str) -> dict[str, str]:
    return {"arn": arn, "reason": reason}


def _json(body: object, status: int = 200) -> web.Response:
    return web.json_response(body, status=status, content_type="application/x-amz-json-1.1")
