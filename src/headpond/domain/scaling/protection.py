"""Who should go last where another decides how many workers there are: what each costs."""

from collections.abc import Mapping, Sequence

from headpond.domain.pace import FRESH_S, WorkerReport


def cost_of(report: WorkerReport) -> int:
    """0 for who has nothing in flight, and one more for each doubling, so that it seldom changes.

    What is in flight at an engine that is not healthy counts for nothing.
    """
    return report.in_flight.bit_length() if report.healthy else 0


def corrections(
    costs: Mapping[str, int], reports: Sequence[WorkerReport], now: float
) -> list[tuple[str, int]]:
    """Workers with what they should cost, where that is not their cost; the furthest off first.

    Who has not reported lately keeps its cost: what is unknown is not idle.
    """
    due = {report.worker: cost_of(report) for report in reports if now - report.at < FRESH_S}
    wrong = [
        (worker, due[worker]) for worker, cost in costs.items() if due.get(worker, cost) != cost
    ]
    return sorted(wrong, key=lambda each: -abs(each[1] - costs[each[0]]))
