"""The engine model: that skipping changes nothing, and that it says what was measured."""

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from headpond.errors import InvalidRequest
from headpond.simulator.capacity import of_engine
from headpond.simulator.engine.blocks import Blocks
from headpond.simulator.engine.calibration import (
    SAGESERVE,
    compare_batches,
    compare_requests,
    read_requests,
)
from headpond.simulator.engine.core import Core, Engine, Sequence, Stretch
from headpond.simulator.engine.loops import closed_loop, full_rate, open_loop
from headpond.simulator.engine.pace import Pace
from headpond.simulator.engine.profiles import profile, profiles
from headpond.simulator.traces.arrivals import Arrival

DATA = Path(__file__).parent / "data"
PACE = Pace(
    base_s=0.001,
    weights_s=0.01,
    per_token_s=0.0001,
    per_sequence_s=0.0001,
    per_kv_token_s=1e-6,
    per_attended_s=0.001,
)
SMALL = Engine(pace=PACE, kv_tokens=40 * 16, max_sequences=6, max_batched_tokens=64)

requests = st.lists(
    st.builds(
        Arrival,
        st.integers(0, 40).map(lambda tenths: tenths / 10),
        st.integers(1, 150),
        st.integers(1, 200),
    ),
    min_size=1,
    max_size=14,
).map(lambda arrivals: sorted(arrivals, key=lambda arrival: arrival.at_s))


class StepByStep(Core):
    """Takes every iteration by itself."""

    @override
    def _decode(self) -> Stretch:
        stretch = super()._decode()
        stretch.iterations = 1
        return stretch


def run(core: Core, arrivals: list[Arrival]) -> list[Sequence]:
    """All to their end."""
    sequences = [
        Sequence(number, arrival.prompt_tokens, arrival.answer_tokens, arrival.at_s)
        for number, arrival in enumerate(arrivals)
    ]
    for sequence in sequences:
        core.advance(sequence.arrived_at)
        core.submit(sequence)
    while core.next_at() < math.inf:
        core.advance(core.next_at())
    return sequences


@settings(deadline=None, max_examples=150)
@given(requests)
def test_skipping_iterations_changes_nothing(arrivals: list[Arrival]) -> None:
    skipping, stepping = Core(SMALL), StepByStep(SMALL)
    for fast, slow in zip(run(skipping, arrivals), run(stepping, arrivals), strict=True):
        assert fast.finished_at == pytest.approx(slow.finished_at)
        assert fast.first_token_at == pytest.approx(slow.first_token_at)
        assert fast.preemptions == slow.preemptions
    assert skipping.iterations == stepping.iterations
    assert skipping.kv_usage == 0
    assert (skipping.running, skipping.waiting) == (0, 0)


def test_one_request_takes_its_prompt_and_then_an_iteration_for_each_further_token() -> None:
    (alone,) = open_loop(SMALL, [Arrival(2.0, 32, 11)])
    first = 0.001 + 0.01 + 0.0001 + 0.001 * 32 * 16 / 1e6
    each = [0.001 + 0.01 + 0.0001 + 1e-6 * (32 + said) for said in range(10)]
    assert alone.first_token_at == pytest.approx(2.0 + first)
    assert alone.finished_at == pytest.approx(2.0 + first + sum(each))


def test_who_comes_last_makes_room_and_is_read_again() -> None:
    sequences = open_loop(SMALL, [Arrival(0, 64, 200)] * 3)
    assert [sequence.preemptions > 0 for sequence in sequences] == [False, False, True]
    ends = [sequence.finished_at or 0.0 for sequence in sequences]
    assert ends[0] < ends[1] < ends[2]


def test_what_is_left_of_freed_blocks_is_not_computed_again() -> None:
    blocks = Blocks(10)
    blocks.take(10)
    freed = blocks.give(6)
    blocks.give(2)
    blocks.take(4)
    assert blocks.take_back(freed) == 2
    assert blocks.free == 2
    assert blocks.give(0).left == 0


def test_an_aborted_request_gives_its_place_back() -> None:
    core = Core(SMALL)
    kept, dropped, in_line = (Sequence(number, 40, 100, 0.0) for number in range(3))
    for sequence in (kept, dropped):
        core.submit(sequence)
    core.advance(0.5)
    core.submit(in_line)
    core.abort(in_line, 0.5)
    core.abort(dropped, 0.5)
    while core.next_at() < math.inf:
        core.advance(core.next_at())
    assert kept.finished_at is not None
    assert dropped.finished_at is in_line.finished_at is None
    assert core.kv_usage == 0


def test_a_request_that_is_aborted_before_anything_began_leaves_nothing() -> None:
    core = Core(SMALL)
    first, second = Sequence(1, 100, 5, 0.0), Sequence(2, 100, 5, 0.0)
    core.submit(first)
    core.submit(second)
    core.next_at()
    core.abort(first, 0.0)
    while core.next_at() < math.inf:
        core.advance(core.next_at())
    core.abort(second, 9.0)
    assert core.next_at() == math.inf
    assert first.finished_at is None
    assert second.finished_at is not None
    assert not core.holds(Sequence(3, 10_000, 1, 0.0))


# SPEC O5: within 10 % of what was measured, queueing and preemptions included.
def test_the_model_says_what_was_measured_on_an_rtx_4090() -> None:
    measured = read_requests((DATA / "rtx4090_requests.jsonl").read_text().splitlines())
    compared = compare_requests(profile("RTX4090/fp16").engine, measured)
    assert len(compared) == 9
    for figure in compared:
        assert abs(figure.error) < 0.1, figure


def test_the_model_says_what_was_measured_on_two_a100() -> None:
    compared = compare_batches(
        SAGESERVE[2], (DATA / "sageserve_a100_tp2.csv").read_text().splitlines()
    )
    for figure in compared:
        assert abs(figure.error) < (0.03 if figure.what.startswith("token") else 0.12), figure


def test_every_profile_is_faster_with_more_clients_and_names_its_sources() -> None:
    for known in profiles():
        alone, crowd = (
            full_rate(known.engine, clients=clients, prompt_tokens=300, answer_tokens=50)
            for clients in (1, 16)
        )
        assert crowd > alone, known.name
        assert known.source
    assert {"T4/awq", "L4/fp16", "A10G/awq", "A100/fp16", "H100/awq"} <= {
        known.name for known in profiles()
    }


@pytest.mark.parametrize("name", ["T4/fp16", "Z80/fp16", "L4/fp3"])
def test_an_engine_that_does_not_exist_or_fit_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        profile(name)


def test_capacity_follows_from_the_engine() -> None:
    engine = profile("L4/awq").engine
    capacity = of_engine(engine, prompt_tokens=300, answer_tokens=50, at_once=16)
    per_s = full_rate(engine, clients=16, prompt_tokens=300, answer_tokens=50)
    work_s = 300 * capacity.per_prompt_token_s + 50 * capacity.per_answer_token_s
    assert 1 / work_s == pytest.approx(per_s)


def test_clients_that_never_pause_send_all_that_there_is() -> None:
    sent = closed_loop(SMALL, clients=3, requests=10, prompt_tokens=20, answer_tokens=5)
    assert len(sent) == 10
    assert all(sequence.finished_at is not None for sequence in sent)
