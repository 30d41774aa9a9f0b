"""What the types alone cannot say of scaling rules: values that do not go together."""

from collections.abc import Callable, Iterator

from headpond.domain.scaling.rules import ScalingRules
from headpond.domain.scaling.schedule import hours_of, zone_of

Fault = tuple[tuple[str, ...], str]
"""Where in the rules, and what is wrong there."""


def faults(rules: ScalingRules) -> Iterator[Fault]:
    """All of them."""
    if rules.min > rules.max:
        yield ("min",), f"it must not be more than max, which is {rules.max}"
    capped = rules.max_usd_per_hour is not None or rules.max_usd_per_day is not None
    if capped and rules.usd_per_worker_hour is None:
        words = "the caps on money need it: without a price nobody knows what workers cost"
        yield ("usd_per_worker_hour",), words
    for name, window in rules.schedule.items():
        place = ("schedule", name)
        yield from _refused((*place, "when"), lambda text=window.when: hours_of(text))
        yield from _refused((*place, "zone"), lambda text=window.zone: zone_of(text))


def _refused(path: tuple[str, ...], read: Callable[[], object]) -> Iterator[Fault]:
    try:
        read()
    except ValueError as error:
        yield path, str(error)
