"""The `Retry-After` header of an answer (RFC 9110)."""

from email.utils import parsedate_to_datetime


def retry_after_s(value: str, date: str) -> float | None:
    """Seconds from now, 0 or more; None if the header does not say.

    A date in it is taken against the answer's own `Date`: no clock of ours, so none that differs.
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        until = parsedate_to_datetime(value) - parsedate_to_datetime(date)
    except (ValueError, TypeError):
        return None
    return max(0.0, until.total_seconds())
