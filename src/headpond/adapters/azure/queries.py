"""The questions that are asked of a container. Values come as parameters, names are ours."""

from collections.abc import Iterable

from headpond.adapters.azure.documents import field_of

WITH_ID = "SELECT * FROM c WHERE c.id = @id"
OPEN = "SELECT * FROM c WHERE c.open > @none"
"""Whatever a transaction has left that has not ended."""


def between(*, reverse: bool) -> str:
    """The documents of a range of places, both ends included."""
    order = _order(reverse=reverse)
    return f"SELECT * FROM c WHERE c.place >= @low AND c.place <= @high ORDER BY c.place {order}"  # noqa: S608


def at_places(parameters: Iterable[str]) -> str:
    """The documents at places, each of which is a parameter."""
    return f"SELECT * FROM c WHERE c.place IN ({', '.join(parameters)})"  # noqa: S608


def in_index(index: str, *, low: str, reverse: bool) -> str:
    """What an index has in a range, whose upper end is left out; `low` says what of the lower."""
    field, order = f"c.{field_of(index)}", _order(reverse=reverse)
    return (
        f"SELECT c.place, c.open, {field} FROM c "  # noqa: S608
        f"WHERE {field} {low} @low AND {field} < @high ORDER BY {field} {order}"
    )


def _order(*, reverse: bool) -> str:
    return "DESC" if reverse else "ASC"
