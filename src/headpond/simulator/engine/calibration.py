"""Predicted beside measured.

LLMServingSim   each request of a run of vLLM 0.19 on an RTX 4090 (casys-kaist/LLMServingSim, MIT):
                queueing for the cache and preemptions included
SageServe       times of one prompt and of whole batches on A100 in tensor parallel
                (shashwatj07/SageServe, MIT)
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from headpond.domain.statistics import percentile
from headpond.simulator.engine.core import Engine
from headpond.simulator.engine.loops import open_loop
from headpond.simulator.engine.pace import Pace
from headpond.simulator.traces.arrivals import Arrival

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One figure in seconds."""

    what: str
    measured_s: float
    predicted_s: float

    @property
    def error(self) -> float:
        """How much the prediction is above (or below) what was measured, as a share of it."""
        return self.predicted_s / self.measured_s - 1


class MeasuredRequest(msgspec.Struct, frozen=True):
    """A line of LLMServingSim's file; times are seconds of one clock."""

    input_toks: int
    output_toks: int
    queued_ts: float
    first_token_ts: float
    last_token_ts: float


class Timing(msgspec.Struct, frozen=True):
    """What a client felt: to the first token, each further one, to the last."""

    first_s: float
    each_s: float
    all_s: float


def read_requests(lines: Iterable[str]) -> list[MeasuredRequest]:
    """The requests of a file, by the time at which they came."""
    decoder = msgspec.json.Decoder(MeasuredRequest)
    read = [decoder.decode(line) for line in lines if line.strip()]
    return sorted(read, key=lambda request: request.queued_ts)


def compare_requests(engine: Engine, requests: Sequence[MeasuredRequest]) -> list[Compared]:
    """The same arrivals at the model: percentiles of what clients felt."""
    began = requests[0].queued_ts
    sequences = open_loop(
        engine,
        [
            Arrival(request.queued_ts - began, request.input_toks, request.output_toks)
            for request in requests
        ],
    )
    measured = [
        _timing(
            request.queued_ts, request.first_token_ts, request.last_token_ts, request.output_toks
        )
        for request in requests
    ]
    predicted = [
        _timing(
            sequence.arrived_at,
            sequence.first_token_at or 0.0,
            sequence.finished_at or 0.0,
            sequence.answer_tokens,
        )
        for sequence in sequences
    ]
    return [
        Compared(
            what=f"{name}, {share_name}",
            measured_s=percentile([getattr(timing, field) for timing in measured], share),
            predicted_s=percentile([getattr(timing, field) for timing in predicted], share),
        )
        for name, field in (
            ("time to first token", "first_s"),
            ("time per token", "each_s"),
            ("latency", "all_s"),
        )
        for share_name, share in SHARES.items()
    ]


def _timing(came: float, first: float, last: float, tokens: int) -> Timing:
    return Timing(first - came, (last - first) / max(1, tokens - 1), last - came)


SAGESERVE = {
    2: Pace(
        base_s=0.0,
        weights_s=0.0083,
        per_token_s=5.3e-5,
        per_sequence_s=2.2e-4,
        per_kv_token_s=4e-8,
        per_attended_s=3.2e-3,
        reading_s=0.0225,
    ),
    4: Pace(
        base_s=0.0,
        weights_s=0.0068,
        per_token_s=7.4e-5,
        per_sequence_s=4.0e-4,
        per_kv_token_s=2e-8,
        per_attended_s=2.5e-3,
        reading_s=0.0285,
    ),
}
"""Llama-3.1-8B on 2 and 4 A100 80 GB, fitted to SageServe's points by hand."""

LONGEST = 4096
"""Beyond it SageServe's time per token doubles at once: another regime, which is not modelled."""


def compare_batches(pace: Pace, lines: Iterable[str]) -> list[Compared]:
    """A prompt alone, and each further token of a batch, for every shape that was measured."""
    prompts: defaultdict[int, list[float]] = defaultdict(list)
    tokens: defaultdict[tuple[int, int, int], list[float]] = defaultdict(list)
    for row in csv.DictReader(lines):
        prompt, batch, said = (
            int(row[name]) for name in ("prompt_size", "batch_size", "token_size")
        )
        if max(prompt, said) > LONGEST:
            continue
        if batch == 1:
            prompts[prompt].append(float(row["prompt_time"]))
        tokens[prompt, batch, said].append(float(row["token_time"]) / (said - 1))
    return [
        *(
            Compared(
                what=f"prompt of {prompt}",
                measured_s=median(times),
                predicted_s=pace.mixed_s(1, prompt, prompt * prompt / 2),
            )
            for prompt, times in sorted(prompts.items())
        ),
        *(
            Compared(
                what=f"token of a batch of {batch}, {prompt} + {said}",
                measured_s=median(times),
                predicted_s=pace.decode_s(batch)
                + pace.per_kv_token_s * batch * (prompt + said / 2),
            )
            for (prompt, batch, said), times in sorted(tokens.items())
        ),
    ]
