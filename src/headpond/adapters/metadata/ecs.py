"""Which task of ECS this process is in."""

import msgspec

from headpond.adapters.metadata.service import ask
from headpond.errors import Unavailable

URI_VARIABLE = "ECS_CONTAINER_METADATA_URI_V4"
"""Set by ECS in every container."""


class _Task(msgspec.Struct, rename={"arn": "TaskARN"}):
    arn: str


_decode = msgspec.json.Decoder(_Task).decode


async def task_id(uri: str) -> str:
    """The task's id, from the container's metadata endpoint. Raises Unavailable."""
    said = await ask(f"{uri}/task")
    try:
        return _decode(said or b"").arn.rpartition("/")[2]
    except msgspec.MsgspecError as error:
        message = f"ECS's metadata endpoint said {(said or b'')[:200]!r}."
        raise Unavailable(message, code="metadata_unavailable") from error
