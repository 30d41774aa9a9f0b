"""Who waited how long: first come, first served, counted by requests."""

from collections import defaultdict


class Waits:
    """A histogram of waits: seconds to requests."""

    def __init__(self) -> None:
        self._counts: defaultdict[float, float] = defaultdict(float)

    def add(self, wait_s: float, requests: float) -> None:
        """So many requests waited so long."""
        self._counts[wait_s] += requests

    @property
    def total(self) -> float:
        """Requests that were counted."""
        return sum(self._counts.values())

    def percentile(self, share: float) -> float:
        """The least wait that at least `share` of the requests did not exceed; 0 without any."""
        wanted, seen = share * self.total, 0.0
        for wait_s in sorted(self._counts):
            seen += self._counts[wait_s]
            if seen >= wanted:
                return wait_s
        return max(self._counts, default=0.0)

    def later_than(self, target_s: float) -> float:
        """Requests that waited longer."""
        return sum(count for wait_s, count in self._counts.items() if wait_s > target_s)


class Line:
    """What waits, bin by bin: work is taken from the front, and the requests with it.

    `step_s` is the length of a bin; a wait is the distance between the bin in which a request came
    and the step in which its work was done, so 0 means that it was done in the step of its coming.
    """

    def __init__(self, step_s: float) -> None:
        self.requests = 0.0
        self.work_s = 0.0
        self.waits = Waits()
        self._step_s = step_s
        self._bins: list[tuple[int, float, float]] = []
        self._front = 0

    def join(self, step: int, requests: float, work_s: float) -> None:
        """Requests come, with their work together."""
        self._bins.append((step, requests, work_s))
        self.requests += requests
        self.work_s += work_s

    def serve(self, step: int, work_s: float) -> float:
        """Do up to so much work; returns the requests that it was."""
        served, left_s = 0.0, min(work_s, self.work_s)
        self.work_s -= left_s
        bins, front = self._bins, self._front
        while front < len(bins):
            came, requests, bin_work_s = bins[front]
            if bin_work_s > left_s + 1e-9:
                part = requests * left_s / bin_work_s
                bins[front] = (came, requests - part, bin_work_s - left_s)
                self._count(step, came, part)
                served += part
                break
            left_s -= bin_work_s
            self._count(step, came, requests)
            served += requests
            front += 1
        self._forget(front)
        self.requests -= served
        return served

    @property
    def per_work_s(self) -> float:
        """Requests that a second of work is, of those that are here."""
        return self.requests / self.work_s if self.work_s > 0 else 0.0

    def lose(self, share: float) -> float:
        """A share of all that is here is gone, old and young; returns the requests that it was."""
        lost, kept = self.requests * share, 1 - share
        self._bins = [
            (came, requests * kept, work_s * kept)
            for came, requests, work_s in self._bins[self._front :]
        ]
        self._front = 0
        self.requests *= kept
        self.work_s *= kept
        return lost

    def leave(self, step: int, patience_s: float) -> float:
        """Who has waited for longer goes away; returns how many."""
        bins, front, left = self._bins, self._front, 0.0
        while front < len(bins) and (step - bins[front][0]) * self._step_s > patience_s:
            left += bins[front][1]
            self.work_s -= bins[front][2]
            front += 1
        self.requests -= left
        self._forget(front)
        return left

    def give_up(self, step: int) -> None:
        """The end: what still waits has waited until now."""
        for came, requests, _ in self._bins[self._front :]:
            self._count(step, came, requests)
        self._bins, self._front, self.requests, self.work_s = [], 0, 0.0, 0.0

    def _count(self, step: int, came: int, requests: float) -> None:
        if requests > 0:
            self.waits.add((step - came) * self._step_s, requests)

    def _forget(self, front: int) -> None:
        self._front = front
        if front > 1024:  # noqa: PLR2004 - seldom enough to cost nothing
            del self._bins[:front]
            self._front = 0
        if self._front == len(self._bins):
            self.work_s = 0.0
