"""Interleaved rounds: every subject once in each round, so that drift of the machine hits all."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from benchmarks.harness.errors import CannotRunError
from benchmarks.harness.outcomes import Outcome
from benchmarks.harness.processes import say

Entry = TypeVar("Entry")


def interleaved(entries: Sequence[Entry], rounds: int) -> Iterator[tuple[int, Entry]]:
    """Yield (round, entry); each round starts one entry later, so that neighbours' traces move."""
    for number in range(rounds):
        shift = number % len(entries)
        for entry in [*entries[shift:], *entries[:shift]]:
            yield number, entry


def measure_or_explain(name: str, round_number: int, measure: Callable[[], Outcome]) -> Outcome:
    """Measure one subject; a subject that cannot run becomes an outcome with its reason."""
    try:
        outcome = measure()
    except CannotRunError as error:
        outcome = Outcome(name, round_number, reason=str(error))
    values = "  ".join(f"{key} {value:,.1f}" for key, value in outcome.values.items())
    say(f"round {round_number + 1}  {name}: {values or 'could not run: ' + outcome.reason}")
    return outcome
