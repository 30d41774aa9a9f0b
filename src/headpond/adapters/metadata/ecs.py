"""The task of ECS that this process is in: which one it is, and whether it is to stop."""

import msgspec
from typing_extensions import override

from headpond.adapters.metadata.service import ask
from headpond.errors import Unavailable
from headpond.ports.notices import Notice, Notices

URI_VARIABLE = "ECS_CONTAINER_METADATA_URI_V4"
"""Set by ECS in every container."""


class _Task(msgspec.Struct, rename={"arn": "TaskARN", "desired_status": "DesiredStatus"}):
    arn: str
    desired_status: str = ""


_decode = msgspec.json.Decoder(_Task).decode


class TaskState(Notices):
    """Asks the endpoint of the container, which `URI_VARIABLE` names."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    @override
    async def look(self) -> Notice | None:
        if (await _task(self._uri)).desired_status != "STOPPED":
            return None
        return Notice("ECS stops this task", left_s=None)


async def task_id(uri: str) -> str:
    """The task's id, from the container's metadata endpoint. Raises Unavailable."""
    return (await _task(uri)).arn.rpartition("/")[2]


async def _task(uri: str) -> _Task:
    said = await ask(f"{uri}/task") or b""
    try:
        return _decode(said)
    except msgspec.MsgspecError as error:
        message = f"ECS's metadata endpoint said {said[:200]!r}."
        raise Unavailable(message, code="metadata_unavailable") from error
