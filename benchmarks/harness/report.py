"""Medians, ratios and their table.

A ratio is taken within each round, subject over reference, and the median of those is shown: what
slows the whole machine for a while then cancels out.
"""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.harness.machine import Machine
from benchmarks.harness.outcomes import Metric, Outcome
from benchmarks.harness.processes import say

NOTHING = "-"
NO_REFERENCE = "nothing: no reference ran"


@dataclass(frozen=True, slots=True)
class Line:
    """One subject over all rounds; `medians` and `ratios` are keyed by metric."""

    subject: str
    rounds: int
    medians: Mapping[str, float]
    ratios: Mapping[str, float]
    fsync_ms: float
    facts: Mapping[str, str]
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one run found."""

    benchmark: str
    machine: Machine
    settings: Mapping[str, object]
    reference: str
    lines: Sequence[Line]
    outcomes: Sequence[Outcome]

    def as_json(self) -> str:
        """Return the report with the values of each round."""
        return json.dumps(asdict(self), indent=2)


def choose_reference(outcomes: Sequence[Outcome], wanted: str, candidates: Sequence[str]) -> str:
    """Return what ratios refer to: `wanted`, or else the first candidate; empty if none ran."""
    measured = {outcome.subject for outcome in outcomes if outcome.values}
    names = [wanted] if wanted else candidates
    return next((name for name in names if name in measured), "")


def summarise(outcomes: Sequence[Outcome], names: Sequence[str], reference: str) -> list[Line]:
    """Fold the outcomes of all rounds into one line for each name, in that order."""
    by_reference = {
        outcome.round: outcome.values for outcome in outcomes if outcome.subject == reference
    }
    return [
        _line(name, [outcome for outcome in outcomes if outcome.subject == name], by_reference)
        for name in names
    ]


def _line(
    name: str, outcomes: Sequence[Outcome], by_reference: Mapping[int, Mapping[str, float]]
) -> Line:
    measured = [outcome for outcome in outcomes if outcome.values]
    keys = dict.fromkeys(key for outcome in measured for key in outcome.values)
    ratios = {key: _ratios(key, measured, by_reference) for key in keys}
    return Line(
        subject=name,
        rounds=len(measured),
        medians={
            key: statistics.median(o.values[key] for o in measured if key in o.values)
            for key in keys
        },
        ratios={key: statistics.median(values) for key, values in ratios.items() if values},
        fsync_ms=statistics.median(o.fsync_ms for o in measured) if measured else 0.0,
        facts=next((outcome.facts for outcome in measured), {}),
        reasons=list(dict.fromkeys(outcome.reason for outcome in outcomes if outcome.reason)),
    )


def _ratios(
    key: str, measured: Sequence[Outcome], by_reference: Mapping[int, Mapping[str, float]]
) -> list[float]:
    return [
        outcome.values[key] / by_reference[outcome.round][key]
        for outcome in measured
        if key in outcome.values and by_reference.get(outcome.round, {}).get(key)
    ]


def publish(report: Report, metrics: Sequence[Metric], *, as_json: bool) -> None:
    """Print the table; with `as_json` the table goes to standard error and JSON takes its place."""
    text = as_text(report, metrics)
    if as_json:
        say(text)
    sys.stdout.write((report.as_json() if as_json else text) + "\n")


def as_text(report: Report, metrics: Sequence[Metric]) -> str:
    """Return the report for people."""
    return "\n".join(
        [
            *_heading(report),
            "",
            *_numbers(report, metrics),
            "",
            *_directions(report, metrics),
            *_facts(report),
            *_not_run(report),
        ]
    )


def _heading(report: Report) -> list[str]:
    machine = report.machine
    settings = ", ".join(f"{key} {value}" for key, value in report.settings.items())
    fsyncs_ms = [outcome.fsync_ms for outcome in report.outcomes if outcome.fsync_ms]
    spread = f", {min(fsyncs_ms)} to {max(fsyncs_ms)} ms during the run" if fsyncs_ms else ""
    return [
        f"{report.benchmark}, {machine.date}",
        f"{machine.processor}, {machine.cores} cores, {machine.system}",
        f"Python {machine.python}, SQLite {machine.sqlite}, load {machine.load_average}",
        f"fsync {machine.fsync_ms} ms{spread}",
        f"settings: {settings}",
    ]


def _numbers(report: Report, metrics: Sequence[Metric]) -> list[str]:
    headings = ["subject", "rounds", "fsync ms"]
    for metric in metrics:
        headings += [metric.heading, "ratio"]
    rows = [
        [line.subject, str(line.rounds), _fsync(line), *_cells(line, metrics)]
        for line in report.lines
        if line.rounds
    ]
    return _aligned([headings, *rows])


def _cells(line: Line, metrics: Sequence[Metric]) -> list[str]:
    cells: list[str] = []
    for metric in metrics:
        median, ratio = line.medians.get(metric.key), line.ratios.get(metric.key)
        cells += [
            NOTHING if median is None else _number(median),
            NOTHING if ratio is None else _ratio(ratio),
        ]
    return cells


def _fsync(line: Line) -> str:
    return f"{line.fsync_ms:.2f}" if line.fsync_ms else NOTHING


def _ratio(value: float) -> str:
    small = 0.1
    return f"{value:.2f}" if value >= small else f"{value:.2g}"


def _number(value: float) -> str:
    many = 100
    return f"{value:,.0f}" if value >= many else f"{value:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _directions(report: Report, metrics: Sequence[Metric]) -> list[str]:
    more = ", ".join(metric.heading for metric in metrics if metric.more_is_better)
    less = ", ".join(metric.heading for metric in metrics if not metric.more_is_better)
    return [
        f"Medians over the rounds. Ratios are to {report.reference or NO_REFERENCE}.",
        f"More is better: {more}. Less is better: {less}.",
    ]


def _facts(report: Report) -> list[str]:
    lines = [""]
    for line in report.lines:
        if line.rounds and line.facts:
            lines.append(line.subject)
            lines += [f"    {key}: {value}" for key, value in line.facts.items()]
    return lines


def _not_run(report: Report) -> list[str]:
    return [
        f"{line.subject} could not run{' in some rounds' if line.rounds else ''}: {reason}"
        for line in report.lines
        for reason in line.reasons
    ]
