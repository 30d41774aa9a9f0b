"""Which request takes the engine down? Found by halving.

When an engine fails, every request that was in flight is a suspect. They are run again in groups,
with nothing beside them: a group that is answered is cleared, a group that fails is halved, and
who fails alone is accused. Once all others have been tried, each of the accused gets its verdict.

A failure alone is no proof by itself: engines die for reasons of their own. Convicted is who

    failed at least `FAILURES_TO_CONVICT` times, the last time alone,
    while the same engine has answered others since.

Of n requests with one culprit that fails each time it is run, the culprit is found in at most
max(3, 1 + ⌈log2 n⌉) failures, the first included; of k culprits, at least one request being
innocent, in 1 + k · max(2, ⌈log2 n⌉). An engine that fails with everybody convicts nobody.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import replace

from headpond.domain.outcome import Died

T = TypeVar("T")

FAILURES_TO_CONVICT = 3


class Suspect(msgspec.Struct, Generic[T], frozen=True):
    """A request under suspicion.

    `failures` says for each failure that it was in how many requests failed together, itself
    included; `last` is what was seen of the latest. `earlier` counts those that happened in other
    hands; nothing more is known of them.
    """

    who: T
    earlier: int = 0
    failures: tuple[int, ...] = ()
    last: Died = Died("")

    def failed(self, together: int) -> "Suspect[T]":
        """It was in one failure more."""
        return replace(self, failures=(*self.failures, together))


class Verdict(Enum):
    """What becomes of a request that failed alone, once all others have been tried."""

    CONVICTED = "convicted"
    AGAIN = "again"
    """The engine works, but the request failed too rarely: it is run alone once more."""
    UNPROVEN = "unproven"
    """Nobody was answered, so it may be the engine: somebody else may try, later."""


def verdict(suspect: Suspect[T], *, others_answered: bool) -> Verdict:
    """Judge a suspect that failed alone."""
    if not others_answered:
        return Verdict.UNPROVEN
    if suspect.earlier + len(suspect.failures) < FAILURES_TO_CONVICT:
        return Verdict.AGAIN
    return Verdict.CONVICTED


class Suspects(msgspec.Struct, Generic[T], frozen=True):
    """All suspects of one engine: `groups` to be run, the first one first, and the `accused`.

    Halves come after all groups that wait: breadth first. So innocents are cleared early, and an
    engine that fails with everybody is known after few failures (`domain/breaker.py`).
    """

    groups: tuple[tuple[Suspect[T], ...], ...] = ()
    accused: tuple[Suspect[T], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.groups or self.accused)

    @property
    def everybody(self) -> list[Suspect[T]]:
        """Those who wait, in no order that matters."""
        return [*self.accused, *(suspect for group in self.groups for suspect in group)]

    def joined(self, group: Sequence[Suspect[T]]) -> "Suspects[T]":
        """With some more, who are to be run together."""
        return replace(self, groups=(*self.groups, tuple(group))) if group else self

    def failed(self, group: Sequence[Suspect[T]]) -> "Suspects[T]":
        """With some who failed together: in two halves, or accused if there is only one."""
        noted = [suspect.failed(len(group)) for suspect in group]
        if len(noted) == 1:
            return replace(self, accused=(*self.accused, *noted))
        half = (len(noted) + 1) // 2
        return self.joined(noted[:half]).joined(noted[half:])

    def next(self) -> tuple[tuple[Suspect[T], ...], "Suspects[T]"]:
        """The group to be run, empty if there is none, and the others."""
        if not self.groups:
            return (), self
        return self.groups[0], replace(self, groups=self.groups[1:])

    def judged(self) -> tuple[tuple[Suspect[T], ...], "Suspects[T]"]:
        """The accused, if everybody else has been tried, and the others."""
        if self.groups:
            return (), self
        return self.accused, replace(self, accused=())

    def without(self, gone: Callable[[T], bool]) -> "Suspects[T]":
        """But for those who are gone."""

        def left(group: Sequence[Suspect[T]]) -> tuple[Suspect[T], ...]:
            return tuple(suspect for suspect in group if not gone(suspect.who))

        groups = tuple(remaining for group in self.groups if (remaining := left(group)))
        return Suspects(groups, left(self.accused))


def evidence(suspect: Suspect[T]) -> str:
    """What speaks against a suspect, as a sentence for people."""
    company = [str(together - 1) for together in suspect.failures if together > 1]
    alone = len(suspect.failures) - len(company)
    parts = [f"beside {_listed(company)} others"] if company else []
    parts += [f"{_times(alone)} alone"] if alone else []
    parts += [f"{_times(suspect.earlier)} at other workers or earlier"] if suspect.earlier else []
    return f"The engine failed with this request in flight: {', '.join(parts)}."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
