"""Halving finds every culprit, clears every innocent, and needs few failures for it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headpond.domain.suspects import (
    FAILURES_TO_CONVICT,
    Suspect,
    Suspects,
    Verdict,
    evidence,
    verdict,
)


class Trial:
    """An engine that fails whenever a culprit is in flight, and the search for it."""

    def __init__(self, requests: int, culprits: set[int]) -> None:
        self.culprits = culprits
        self.failures = 0
        self.others_answered = False
        self.cleared: list[int] = []
        self.convicted: list[int] = []
        self.unproven: list[int] = []
        self.suspects: Suspects[int] = Suspects()
        self.run([Suspect(number) for number in range(requests)])
        while self.suspects:
            group, self.suspects = self.suspects.next()
            if group:
                self.run(group)
            else:
                self.judge()

    def run(self, group: "list[Suspect[int]] | tuple[Suspect[int], ...]") -> None:
        if self.culprits.isdisjoint(suspect.who for suspect in group):
            self.others_answered = True
            self.cleared += [suspect.who for suspect in group]
        else:
            self.failures += 1
            self.suspects = self.suspects.failed(group)

    def judge(self) -> None:
        accused, self.suspects = self.suspects.judged()
        for suspect in accused:
            match verdict(suspect, others_answered=self.others_answered):
                case Verdict.CONVICTED:
                    self.convicted.append(suspect.who)
                case Verdict.AGAIN:
                    self.suspects = self.suspects.joined([suspect])
                case Verdict.UNPROVEN:
                    self.unproven.append(suspect.who)


@st.composite
def trials(draw: st.DrawFn) -> tuple[int, set[int]]:
    """How many requests, and which of them are culprits: not all."""
    requests = draw(st.integers(1, 130))
    culprits = draw(st.sets(st.integers(0, requests - 1), max_size=min(requests - 1, 20)))
    return requests, culprits


@given(trials())
def test_all_innocents_are_cleared_and_exactly_the_culprits_convicted(
    given_trial: tuple[int, set[int]],
) -> None:
    # SPEC W5
    requests, culprits = given_trial
    trial = Trial(requests, culprits)
    assert sorted(trial.cleared) == sorted(set(range(requests)) - culprits)
    assert sorted(trial.convicted) == sorted(culprits)
    assert trial.unproven == []
    halvings = math.ceil(math.log2(requests))
    if culprits:
        assert trial.failures <= 1 + len(culprits) * max(2, halvings)


@pytest.mark.parametrize("culprit", range(64))
def test_one_culprit_among_64_is_found_in_7_failures(culprit: int) -> None:
    # SPEC W5 B3
    trial = Trial(64, {culprit})
    assert (trial.failures, trial.convicted) == (7, [culprit])


@pytest.mark.parametrize("requests", [2, 3, 5, 17, 100])
def test_one_culprit_takes_the_stated_number_of_failures(requests: int) -> None:
    bound = max(FAILURES_TO_CONVICT, 1 + math.ceil(math.log2(requests)))
    failures = [Trial(requests, {culprit}).failures for culprit in range(requests)]
    assert max(failures) == bound


@pytest.mark.parametrize("requests", [1, 2, 16])
def test_an_engine_that_fails_with_everybody_convicts_nobody(requests: int) -> None:
    trial = Trial(requests, set(range(requests)))
    assert (trial.convicted, trial.cleared) == ([], [])
    assert sorted(trial.unproven) == list(range(requests))


def test_failures_in_other_hands_count() -> None:
    assert verdict(Suspect("a", 1, (1,)), others_answered=True) is Verdict.AGAIN
    assert verdict(Suspect("a", 2, (1,)), others_answered=True) is Verdict.CONVICTED
    assert verdict(Suspect("a", 9, (1,)), others_answered=False) is Verdict.UNPROVEN


def test_who_is_gone_is_gone_from_everywhere() -> None:
    suspects = Suspects(
        groups=((Suspect("a"), Suspect("b")), (Suspect("c"),)), accused=(Suspect("d"),)
    )
    left = suspects.without(lambda who: who in "acd")
    assert left == Suspects(groups=((Suspect("b"),),))
    assert [suspect.who for suspect in suspects.everybody] == ["d", "a", "b", "c"]


@pytest.mark.parametrize(
    ("suspect", "sentence"),
    [
        (Suspect("a", 0, (1, 1)), "2 times alone"),
        (Suspect("a", 0, (2, 1)), "beside 1 others, once alone"),
        (Suspect("a", 1, (64, 32, 1)), "beside 63 and 31 others, once alone, once at other"),
        (Suspect("a", 2, (3, 2)), "beside 2 and 1 others, 2 times at other workers or earlier"),
    ],
)
def test_the_evidence_says_how_often_and_with_whom(suspect: Suspect[str], sentence: str) -> None:
    assert sentence in evidence(suspect)
