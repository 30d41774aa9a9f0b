"""Bugs planted in the search for the request that takes its engine down: each fails a proof."""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations
from typing import Any

import pytest

from headpond.domain.job import Job
from headpond.domain.outcome import Broke
from headpond.domain.suspects import Suspect, Suspects, Verdict
from headpond.services.worker import isolation
from headpond.services.worker.isolation import Isolation
from tests.unit.domain import test_suspects as trials
from tests.unit.services.worker import test_isolation as proofs

Proof = Callable[[], None]


def every_trial_ends_well() -> None:
    """Innocents are cleared and culprits convicted, in no more failures than stated."""
    for requests in range(2, 10):
        for guilty in combinations(range(requests), min(2, requests - 1)):
            trial = trials.Trial(requests, set(guilty))
            assert sorted(trial.convicted) == list(guilty)
            assert len(trial.cleared) == requests - len(guilty)
    assert trials.Trial(64, {42}).failures == 7
    assert trials.Trial(4, {0, 1, 2, 3}).convicted == []


_failed = Suspects[Any].failed


def _forget_half(self: Suspects[Any], group: Sequence[Suspect[Any]]) -> Suspects[Any]:
    halved = _failed(self, group)
    return halved if len(group) == 1 else Suspects(halved.groups[:-1], halved.accused)


def _one_by_one(self: Suspects[Any], group: Sequence[Suspect[Any]]) -> Suspects[Any]:
    if len(group) == 1:
        return _failed(self, group)
    singles = tuple((suspect.failed(len(group)),) for suspect in group)
    return Suspects((*self.groups, *singles), self.accused)


def _accuse_the_first(self: Suspects[Any], group: Sequence[Suspect[Any]]) -> Suspects[Any]:
    return _failed(self, group[:1]) if len(group) == 2 else _failed(self, group)


def _judge_too_early(self: Suspects[Any]) -> tuple[Sequence[Suspect[Any]], Suspects[Any]]:
    return self.accused, Suspects(self.groups)


def _always(judged: Verdict) -> Callable[..., Verdict]:
    return lambda *_, **__: judged


def _unmarked(self: Isolation, suspect: Suspect[Any]) -> Job:
    del self
    return suspect.who.job.returned(charged=False)


BUGS: dict[str, tuple[object, str, Any, Proof]] = {
    "the other half is forgotten": (Suspects, "failed", _forget_half, every_trial_ends_well),
    "the first of two is convicted": (Suspects, "failed", _accuse_the_first, every_trial_ends_well),
    "who fails alone is convicted, whoever else fails": (
        *(trials, "verdict", _always(Verdict.CONVICTED)),
        every_trial_ends_well,
    ),
    "nobody is convicted": (
        *(trials, "verdict", _always(Verdict.UNPROVEN)),
        every_trial_ends_well,
    ),
    "suspects are tried one by one": (
        *(Suspects, "failed", _one_by_one),
        partial(proofs.test_one_poison_among_64_is_found_and_nobody_else_pays, 0, proofs.DEATH),
    ),
    "the accused are judged before the others are tried": (
        *(Suspects, "judged", _judge_too_early),
        proofs.test_the_accused_are_judged_when_all_others_have_been_tried,
    ),
    "garbage is always charged": (
        *(isolation._Held, "charged", property(lambda held: isinstance(held.outcome, Broke))),
        partial(proofs.test_one_poison_among_64_is_found_and_nobody_else_pays, 0, proofs.GARBAGE),
    ),
    "others are run beside the last suspects": (
        *(Isolation, "pending", property(lambda self: bool(self._suspects))),
        proofs.test_nothing_is_pulled_beside_the_last_suspect,
    ),
    "the leases of suspects lapse": (
        *(Isolation, "waiting", property(lambda _: [])),
        proofs.test_a_suspect_can_be_cancelled_and_keeps_its_lease_until_then,
    ),
    "who is handed back is not marked": (
        *(Isolation, "_back", _unmarked),
        proofs.test_a_worker_that_stops_hands_suspects_back_uncharged_but_marked,
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_proofs_of_isolation_find_that(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, planted, proof = BUGS[bug]
    proof()
    monkeypatch.setattr(where, name, planted)
    with pytest.raises(AssertionError):
        proof()
