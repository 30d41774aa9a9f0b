"""A fleet of tasks: the desired count of an ECS service, on EC2, managed instances or Fargate.

A worker reports under its task's id. ECS chooses itself which tasks it stops, but for those that
are protected from scale-in; so those that stay are protected, for as long as it takes to choose,
and those that go no longer are. A task that ends by itself is replaced by ECS. The tasks outlive
the scaler.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import msgspec
from typing_extensions import override

from headpond.adapters.aws.calls import Place, Refused, Service, connect, refusal
from headpond.domain.scaling.members import Member, Standing
from headpond.errors import SettingsError
from headpond.ports.fleet import Fleet

T = TypeVar("T")

READ_S = 10.0
ATTEMPTS = 3

DESCRIBED = 100
"""Most tasks of one DescribeTasks."""

PROTECTED = 10
"""Most tasks of one UpdateTaskProtection."""

PROTECTED_MINUTES = 2
"""How long ECS is given to choose. Deployments wait for protected tasks, so no longer."""

BEFORE_RUNNING = frozenset({"PROVISIONING", "PENDING", "ACTIVATING"})
"""The states of a task that was not started yet, or not as a whole."""

STOP_S = 30
"""What ECS gives a container without `stopTimeout` to end, unless its machine says otherwise."""


class EcsService(msgspec.Struct, frozen=True):
    """A service by its name."""

    region: str
    cluster: str
    name: str
    endpoint: str | None = None

    @override
    def __str__(self) -> str:
        return f"{self.region}/{self.cluster}/{self.name}"


class EcsFleet(Fleet):
    """Call `begin` first."""

    def __init__(self, ecs: Service, service: EcsService) -> None:
        self._ecs = ecs
        self._service = service

    async def begin(self, drain_s: float) -> None:
        """Look whether the service is ours to scale. Raises SettingsError and Unavailable."""
        service = await self._described()
        # Where somebody else deploys, each set of tasks has a definition of its own.
        definition = service.get("taskDefinition")
        if definition is None:
            return
        container, stop_s = await self._first_killed(definition)
        if stop_s <= drain_s:
            raise SettingsError(
                f"The tasks of {self._service} are killed after {stop_s} s (stopTimeout of the "
                f"container {container!r}, {STOP_S} unless it is set), while workers drain for up "
                f"to {drain_s:g} s (worker.drain_s). Give each essential container more time."
            )

    @override
    async def members(self) -> list[Member]:
        tasks = [*await self._tasks("RUNNING"), *await self._tasks("STOPPED")]
        members = [_member(task) for task in tasks if task["lastStatus"] != "STOPPED"]
        return sorted(members, key=lambda member: (member.asked_at, member.name))

    @override
    async def scale(self, target: int, first_to_go: Sequence[str]) -> None:
        desired = (await self._described())["desiredCount"]
        if target == desired:
            return
        if target < desired:
            await self._choose(target, first_to_go)
        await self._call("UpdateService", service=self._service.name, desiredCount=target)

    @override
    async def close(self) -> None:
        """Nothing ends with the scaler."""

    async def _described(self) -> Mapping[str, Any]:
        answer = await self._call("DescribeServices", services=[self._service.name])
        for service in answer["services"]:
            if service["status"] == "ACTIVE":
                return service
        raise SettingsError(f"fleet: there is no active service ecs://{self._service}.")

    async def _first_killed(self, definition: str) -> tuple[str, int]:
        """Of the essential containers, which has the least time to end, and how many seconds.

        Which of them is the worker's, nobody says; a sidecar is not essential.
        """
        answer = await self._answer("DescribeTaskDefinition", taskDefinition=definition)
        containers = answer["taskDefinition"]["containerDefinitions"]
        times = {
            container["name"]: container.get("stopTimeout", STOP_S)
            for container in containers
            if container.get("essential", True)
        }
        return min(times.items(), key=lambda each: each[1])

    async def _tasks(self, desired_status: str) -> list[dict[str, Any]]:
        arns: list[str] = []
        more: dict[str, str] = {}
        while True:
            page = await self._call(
                "ListTasks",
                serviceName=self._service.name,
                desiredStatus=desired_status,
                **more,
            )
            arns += page["taskArns"]
            if not page.get("nextToken"):
                break
            more = {"nextToken": page["nextToken"]}
        tasks: list[dict[str, Any]] = []
        for some in _in_parts(arns, DESCRIBED):
            tasks += (await self._call("DescribeTasks", tasks=some))["tasks"]
        return tasks

    async def _choose(self, count: int, first_to_go: Sequence[str]) -> None:
        """Have ECS choose those that are named first: the `count` others are protected.

        Who goes may be protected still, from a choice some moments ago.
        """
        rank = {name: number for number, name in enumerate(first_to_go)}
        running = [task for task in await self._tasks("RUNNING") if _runs(task)]
        running.sort(key=lambda task: rank.get(_name(task), len(rank)))
        going = max(0, len(running) - count)
        busy = await self._update(
            running[going:], protectionEnabled=True, expiresInMinutes=PROTECTED_MINUTES
        )
        if busy:
            why = ", ".join(f"{each['arn']}: {each['reason']}" for each in busy)
            raise refusal("ecs_unavailable", f"UpdateTaskProtection: {why}")
        # Of those that fail here none stops in another's place: they go when their time is over.
        await self._update(running[:going], protectionEnabled=False)

    async def _update(
        self, tasks: list[dict[str, Any]], **protection: object
    ) -> list[dict[str, Any]]:
        """What failed, but for tasks that ended meanwhile."""
        failed: list[dict[str, Any]] = []
        for some in _in_parts(tasks, PROTECTED):
            answer = await self._call(
                "UpdateTaskProtection", tasks=[task["taskArn"] for task in some], **protection
            )
            failed += [each for each in answer.get("failures", ()) if each["reason"] != "MISSING"]
        return failed

    async def _call(self, operation: str, **parameters: object) -> Mapping[str, Any]:
        return await self._answer(operation, cluster=self._service.cluster, **parameters)

    async def _answer(self, operation: str, **parameters: object) -> Mapping[str, Any]:
        try:
            return await self._ecs.call(operation, **parameters)
        except Refused as error:
            raise SettingsError(
                f"The fleet ecs://{self._service} cannot be scaled: {error}. "
                "docs/scaling.md has the policy that it takes."
            ) from error


def _name(task: Mapping[str, Any]) -> str:
    """The task's id: the end of its ARN, and what `metadata/ecs.py` names the worker in it."""
    return task["taskArn"].rpartition("/")[2]


def _runs(task: Mapping[str, Any]) -> bool:
    return task["lastStatus"] == "RUNNING"


def _member(task: Mapping[str, Any]) -> Member:
    standing = _standing(task)
    return Member(
        name=_name(task),
        asked_at=task["createdAt"].timestamp(),
        draining=task["desiredStatus"] == "STOPPED",
        standing=standing,
        why="" if standing is Standing.READY else _why(task),
    )


def _standing(task: Mapping[str, Any]) -> Standing:
    """Without health checks in its definition a task that runs is as good as a healthy one."""
    if task["lastStatus"] in BEFORE_RUNNING:
        return Standing.PENDING
    well = _runs(task) and task.get("healthStatus") != "UNHEALTHY"
    return Standing.READY if well else Standing.STARTED


def _why(task: Mapping[str, Any]) -> str:
    """The state that is not the right one, and what ECS says of a container, if anything."""
    state = task["healthStatus"] if _runs(task) else task["lastStatus"]
    containers = task.get("containers", ())
    reasons: list[str] = [each["reason"] for each in containers if each.get("reason")]
    return ": ".join((state, *reasons[:1]))


def _in_parts(things: list[T], size: int) -> Iterator[list[T]]:
    for first in range(0, len(things), size):
        yield things[first : first + size]


@asynccontextmanager
async def open_ecs(service: EcsService) -> AsyncGenerator[Service]:
    """The interface, for as long as the context lasts."""
    place = Place(service.region, service.name, service.endpoint)
    async with connect("ecs", place, read_s=READ_S, attempts=ATTEMPTS) as ecs:
        yield ecs
