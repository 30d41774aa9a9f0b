"""Until when a request must be done, in whichever body it comes."""

from datetime import datetime
from typing import Annotated, TypeAlias

from msgspec import Meta

from headpond.errors import InvalidRequest

END_OF_TIME = 253_402_300_799
"""The last second of the year 9999: later times have no ISO form."""

Deadline: TypeAlias = (
    Annotated[datetime, Meta(tz=True, description="ISO 8601 with an offset")]
    | Annotated[float, Meta(ge=0, le=END_OF_TIME, description="Unix seconds")]
)
ExpiresIn: TypeAlias = Annotated[
    float, Meta(gt=0, le=31_536_000, description="Seconds from now, instead of a deadline")
]
BestEffort: TypeAlias = Annotated[
    bool, Meta(description="Take the job even if its deadline seems out of reach")
]


def deadline_of(deadline: Deadline | None, expires_in: float | None) -> float | None:
    """The deadline in Unix seconds. Raises InvalidRequest where both were sent."""
    if deadline is not None and expires_in is not None:
        message = "Send either deadline or expires_in, not both."
        raise InvalidRequest(message, code="invalid_value", param="expires_in")
    return deadline.timestamp() if isinstance(deadline, datetime) else deadline
