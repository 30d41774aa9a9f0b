"""Values as DynamoDB writes them: each under a letter for its type."""

from collections.abc import Mapping
from typing import Any, assert_never

from headpond.adapters.documents.table import Item, Value


def marshalled(item: Mapping[str, Value]) -> dict[str, Any]:
    """An item, or values of an expression, for a call."""
    return {name: _typed(value) for name, value in item.items()}


def unmarshalled(item: Mapping[str, Any]) -> Item:
    """An item as it was before `marshalled`."""
    return {name: _plain(typed) for name, typed in item.items()}


def _typed(value: Value) -> dict[str, Value]:
    match value:
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case bytes():
            return {"B": value}
        case _:  # pragma: no cover
            assert_never(value)


def _plain(typed: Mapping[str, Any]) -> Value:
    ((kind, value),) = typed.items()
    return int(value) if kind == "N" else value
