"""Handing in a file again: which of its lines are the same jobs as before.

A line is recognised by its idempotency key, for as long as the gateway remembers it. By itself each
call is a run of its own, with a name that nobody else has; who names a run goes on with it.
"""

import hashlib
import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from headpond.client import JobBody
from headpond.errors import InvalidRequest, RequestError


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Keys for lines in their order, and what goes on with them."""

    keys: Sequence[str]
    again: str

    @classmethod
    def of(
        cls, file: Path, lines: Mapping[int, JobBody], *, once: bool, resume: str | None
    ) -> Self:
        """Raises InvalidRequest."""
        if not once:
            if resume == "":  # a variable that is not set, and no run that could be known again
                message = "--resume takes the name of a run."
                raise InvalidRequest(message, code="invalid_value", param="--resume")
            name = secrets.token_hex(6) if resume is None else resume
            return cls(
                keys=numbered_keys(name, lines), again=f"The same command with --resume {name}"
            )
        if resume is not None:
            message = "--once and --resume exclude each other."
            raise InvalidRequest(message, code="invalid_value", param="--resume")
        return cls(keys=keys_of(file.name, lines.values()), again="The same command")


def numbered_keys(name: str, numbers: Iterable[int]) -> list[str]:
    """Keys that are the same for the same lines of a run.

    A line that says something else by then is refused: nobody knows whether it is a job already.
    """
    run = hashlib.sha256(name.encode()).hexdigest()
    return [f"{run}-{number}" for number in numbers]


def keys_of(name: str, bodies: Iterable[JobBody]) -> list[str]:
    """Idempotency keys that are the same for the same jobs of a file of this name.

    A line that stands twice is two jobs.
    """
    seen: Counter[bytes] = Counter()
    keys: list[str] = []
    for body in bodies:
        text = msgspec.json.encode(body)
        keys.append(hashlib.sha256(msgspec.json.encode((name, seen[text])) + text).hexdigest())
        seen[text] += 1
    return keys


def halfway(
    file: Path,
    numbers: Sequence[int],
    begun: AbstractSet[int],
    answers: Mapping[int, str | RequestError],
    again: str,
) -> str:
    """What is known of the lines of a file where it was left off, and how to go on."""
    jobs = sum(isinstance(answer, str) for answer in answers.values())
    words = f"{file}: {jobs} of {len(numbers)} lines are jobs"
    if unsure := sorted(begun - answers.keys()):
        words += f", {len(unsure)} more may be, the first of them line {unsure[0]}"
    if left := [number for number in numbers if number not in begun]:
        words += f"; line {left[0]} and what follows was not handed in"
    return f"{words}. {again} goes on, and makes no second job of a line, within a day by default."
