"""Label selectors, as the API server takes them in a query."""

from collections.abc import Iterable, Mapping
from typing import Any


def selector_of(labels: Mapping[str, str], expressions: Iterable[Any]) -> str:
    """What `matchLabels` and `matchExpressions` ask for together.

    Raises ValueError where they ask for nothing, which would be every pod of the namespace, or for
    what is not known here.
    """
    equal = [f"{name}={value}" for name, value in sorted(labels.items())]
    wanted = [*equal, *map(_expression, expressions)]
    if not wanted:
        message = "its selector is empty"
        raise ValueError(message)
    return ",".join(wanted)


def _expression(expression: Any) -> str:
    values = ",".join(expression.values or ())
    match expression.operator:
        case "In":
            return f"{expression.key} in ({values})"
        case "NotIn":
            return f"{expression.key} notin ({values})"
        case "Exists":
            return expression.key
        case "DoesNotExist":
            return f"!{expression.key}"
        case other:
            message = f"its selector has the operator {other!r}"
            raise ValueError(message)
