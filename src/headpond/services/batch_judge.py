"""The judge: looks at every line of an input before the first one is run."""

from contextlib import aclosing
from typing import assert_never

import msgspec

from headpond.domain.batch import LineError
from headpond.services.batch_hold import BatchHold
from headpond.services.batch_input import BatchInput, Draft

MAX_ERRORS = 100
"""Enough to see what is wrong with a file."""


class Judgement(msgspec.Struct, frozen=True):
    """What an input holds: mistakes, or requests, with their model if it is the same for all."""

    errors: tuple[LineError, ...]
    requests: int
    model: str | None


async def judge(hold: BatchHold, source: BatchInput, *, max_lines: int) -> Judgement | None:
    """Judge the input of a batch; None if its status changed in the meantime.

    Raises NotFound if it is gone.
    """
    tally = _Tally(max_lines)
    async with aclosing(source.groups(hold.batch)) as groups:
        async for group in groups:
            for line, draft in await source.judged(hold.batch, group):
                tally.add(line.number, draft)
            if tally.enough:
                break
            if not await hold.renew():
                return None
    return tally.judgement()


class _Tally:
    def __init__(self, max_lines: int) -> None:
        self.errors: list[LineError] = []
        self._requests = 0
        self._custom_ids: set[str] = set()
        self._models: set[str] = set()
        self._max_lines = max_lines

    @property
    def enough(self) -> bool:
        """True when looking on would tell nothing new."""
        return len(self.errors) >= MAX_ERRORS or self._requests > self._max_lines

    def add(self, number: int, draft: Draft | LineError) -> None:
        self._requests += 1
        match draft:
            case LineError():
                self.errors.append(draft)
            case Draft(custom_id) if custom_id in self._custom_ids:
                message = f"The custom_id {custom_id!r} stands in an earlier line too."
                fault = LineError("duplicate_custom_id", message, "custom_id", number)
                self.errors.append(fault)
            case Draft(custom_id, job):
                self._custom_ids.add(custom_id)
                if not job.state.terminal:
                    self._models.add(job.model)
            case _:  # pragma: no cover
                assert_never(draft)

    def judgement(self) -> Judgement:
        if self._requests > self._max_lines:
            message = f"The file has more than {self._max_lines} requests."
            self.errors.append(LineError("too_many_lines", message))
        if not self._requests and not self.errors:
            self.errors.append(LineError("empty_file", "The file has no requests."))
        model = next(iter(self._models)) if len(self._models) == 1 else None
        return Judgement(tuple(self.errors[:MAX_ERRORS]), self._requests, model)
