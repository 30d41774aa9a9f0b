"""What a worker does when it is full: the rate that a fleet can be reckoned with."""

import msgspec

WINDOW_S = 60.0
"""Seconds of full work that count; older ones fade."""

ENOUGH_S = 3.0
FULL_SHARE = 0.75


def is_full(in_flight: int, room: int) -> bool:
    """Whether so much is in flight that more would only wait."""
    return in_flight > 0 and in_flight >= FULL_SHARE * (in_flight + room)


class Throughput(msgspec.Struct, frozen=True):
    """Jobs and their work tokens, done in `span_s` seconds of full work."""

    span_s: float = 0.0
    jobs: float = 0.0
    work_tokens: float = 0.0

    @property
    def known(self) -> bool:
        """Whether that is long enough to say something."""
        return self.span_s >= ENOUGH_S and self.jobs > 0

    def __add__(self, other: "Throughput") -> "Throughput":
        return Throughput(
            self.span_s + other.span_s,
            self.jobs + other.jobs,
            self.work_tokens + other.work_tokens,
        )

    def faded(self) -> "Throughput":
        """Of the same rate, over no more than the window."""
        share = min(1.0, WINDOW_S / self.span_s) if self.span_s else 1.0
        return Throughput(self.span_s * share, self.jobs * share, self.work_tokens * share)
