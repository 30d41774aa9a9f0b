"""Ways to put load on an engine model: a list of arrivals, or so many clients that never pause."""

import math
from collections.abc import Iterable

from headpond.simulator.engine.core import Core, Engine, Sequence
from headpond.simulator.traces.arrivals import Arrival


def open_loop(engine: Engine, arrivals: Iterable[Arrival]) -> list[Sequence]:
    """Each request when it comes; returns them all, as they ended."""
    core, sequences = Core(engine), list[Sequence]()
    for number, arrival in enumerate(arrivals):
        core.advance(arrival.at_s)
        sequence = Sequence(number, arrival.prompt_tokens, arrival.answer_tokens, arrival.at_s)
        sequences.append(sequence)
        core.submit(sequence)
    while core.next_at() < math.inf:
        core.advance(core.next_at())
    return sequences


def closed_loop(
    engine: Engine, *, clients: int, requests: int, prompt_tokens: int, answer_tokens: int
) -> list[Sequence]:
    """Each client sends its next request when the last one is answered."""
    core = Core(engine)
    sequences: list[Sequence] = []

    def send(at_s: float) -> None:
        sequence = Sequence(len(sequences), prompt_tokens, answer_tokens, at_s)
        sequences.append(sequence)
        core.submit(sequence)

    for _ in range(min(clients, requests)):
        send(0.0)
    while (now := core.next_at()) < math.inf:
        for _ in core.advance(now):
            if len(sequences) < requests:
                send(now)
    return sequences


def full_rate(engine: Engine, *, clients: int, prompt_tokens: int, answer_tokens: int) -> float:
    """Requests a second with so many always at the engine; begin and end left out."""
    requests = 20 * clients
    sequences = closed_loop(
        engine,
        clients=clients,
        requests=requests,
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
    )
    ends = sorted(sequence.finished_at or 0.0 for sequence in sequences)
    first, last = requests // 4, requests * 3 // 4
    return (last - first) / (ends[last] - ends[first])
