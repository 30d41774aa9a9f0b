"""Pages of a list: how many, and after which one."""

import re

from headpond.errors import InvalidRequest
from headpond.gateway.endpoint import Call, Parameter

_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")


def limit_parameter(*, most: int, default: int) -> Parameter:
    """`limit`, as a query parameter."""
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}
    return Parameter(name="limit", schema=schema, description="How many.")


def limit(call: Call, *, most: int, default: int) -> int:
    """How many are asked for. Raises InvalidRequest."""
    text = call.query.get("limit", str(default))
    if not _WHOLE_NUMBER.fullmatch(text) or not 1 <= int(text) <= most:
        message = f"limit must be a whole number from 1 to {most}."
        raise InvalidRequest(message, code="invalid_value", param="limit")
    return int(text)
