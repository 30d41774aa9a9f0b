"""Our ECS does what Amazon's API reference and developer guide say of services and tasks.

Each test names the page that it follows.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.emulators.ecs_server import ARN, CLUSTER, NAME, PAGE, TARGET, Ecs
from tests.unit.emulators.asking import Ask, asking

NOBODY = f"{ARN}nobody"


@pytest.fixture
def ecs() -> Ecs:
    return Ecs()


@pytest.fixture
async def ask(ecs: Ecs) -> AsyncIterator[Ask]:
    async with asking(ecs.app()) as ask:
        yield ask


async def call(ask: Ask, operation: str, **given: object) -> Any:
    headers = {"X-Amz-Target": f"{TARGET}{operation}"}
    answer = await ask("POST", "/", json={"cluster": CLUSTER, **given}, headers=headers)
    assert answer.status == 200
    return answer.json


async def scaled(ask: Ask, count: int) -> None:
    await call(ask, "UpdateService", service=NAME, desiredCount=count)


async def listed(ask: Ask, status: str = "RUNNING") -> list[list[str]]:
    """The ARNs of all tasks, page by page."""
    pages: list[list[str]] = []
    more: dict[str, str] = {}
    while True:
        page = await call(ask, "ListTasks", serviceName=NAME, desiredStatus=status, **more)
        pages.append(page["taskArns"])
        if "nextToken" not in page:
            return pages
        more = {"nextToken": page["nextToken"]}


async def test_a_list_goes_on_while_there_is_a_token(ask: Ask, ecs: Ecs) -> None:
    """ListTasks."""
    await scaled(ask, PAGE + 1)
    first, second = await listed(ask)
    assert (len(first), len(second)) == (PAGE, 1)
    assert {*first, *second} == set(ecs.tasks)


async def test_a_task_that_is_to_end_is_told_so_at_once_and_ends_later(ask: Ask, ecs: Ecs) -> None:
    """Amazon ECS task lifecycle: a task's desired and its last status."""
    await scaled(ask, 1)
    ecs.settle()
    ((arn,),) = await listed(ask)
    await scaled(ask, 0)
    assert await listed(ask) == [[]]
    assert await listed(ask, "STOPPED") == [[arn]]
    (task,) = (await call(ask, "DescribeTasks", tasks=[arn]))["tasks"]
    assert (task["desiredStatus"], task["lastStatus"]) == ("STOPPED", "RUNNING")


async def test_protected_tasks_are_not_scaled_in(ask: Ask) -> None:
    """Protect your Amazon ECS tasks from being terminated by scale-in events."""
    await scaled(ask, 3)
    ((first, second, third),) = await listed(ask)
    protected = {"protectionEnabled": True, "expiresInMinutes": 2}
    told = await call(ask, "UpdateTaskProtection", tasks=[first, second], **protected)
    assert {each["taskArn"] for each in told["protectedTasks"]} == {first, second}
    assert all("expirationDate" in each for each in told["protectedTasks"])
    await scaled(ask, 0)
    assert await listed(ask, "STOPPED") == [[third]]
    await call(ask, "UpdateTaskProtection", tasks=[first], protectionEnabled=False)
    await scaled(ask, 0)
    assert await listed(ask) == [[second]]


async def test_what_is_not_there_is_told_among_the_failures(ask: Ask) -> None:
    """API failure reasons."""
    missing = [{"arn": NOBODY, "reason": "MISSING"}]
    assert await call(ask, "DescribeTasks", tasks=[NOBODY]) == {"tasks": [], "failures": missing}
    protected = {"protectionEnabled": True, "expiresInMinutes": 2}
    told = await call(ask, "UpdateTaskProtection", tasks=[NOBODY], **protected)
    assert told == {"protectedTasks": [], "failures": missing}
    services = await call(ask, "DescribeServices", services=["other"])
    assert services == {"services": [], "failures": [{"arn": "other", "reason": "MISSING"}]}


async def test_a_task_that_is_lost_is_replaced(ask: Ask, ecs: Ecs) -> None:
    """Amazon ECS services: the scheduler keeps the desired count."""
    await scaled(ask, 1)
    ((lost,),) = await listed(ask)
    ecs.lose(lost)
    ((other,),) = await listed(ask)
    assert other != lost
