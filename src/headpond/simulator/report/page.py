"""One page with everything, in one file: nothing is loaded from elsewhere."""

from collections.abc import Iterator
from html import escape

from headpond.simulator.comparison import Comparison
from headpond.simulator.report.chart import Line, Panel, chart
from headpond.simulator.report.table import COLUMNS, rows, summary
from headpond.simulator.result import Result

READY = "#3e7cb1"
ALL = "#f2b134"
ARRIVING = "#52606d"
WAITING = "#c8553d"
DECISIONS = 200

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 1180px; margin: 2rem auto;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%;
        font-size: 13px; }
th, td { text-align: right; padding: .25rem .5rem; border-bottom: 1px solid #e4e7eb;
         white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
td.why { text-align: left; white-space: normal; }
tr.good td:first-child::after { content: " \\2713"; color: #2f8132; }
.scroll { overflow-x: auto; }
details { margin: .5rem 0; } svg { width: 100%; height: auto; }
p.note { color: #52606d; }
"""


def page(comparison: Comparison) -> str:
    """The whole page as HTML."""
    title = f"Simulated: {escape(comparison.trace)}"
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f"<title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>",
            *(f"<p>{escape(line)}</p>" for line in summary(comparison)),
            _table(comparison),
            (
                '<p class="note">A tick: no more than '
                f"{comparison.late_allowed:.1%} waited longer than {comparison.target_wait_s:g} s. "
                "Waits are from arrival until a worker takes the request; late counts errors, too. "
                "Hours are machine hours: busy, idle and starting.</p>"
            ),
            *(_policy(comparison, result) for result in comparison.results),
            "</body></html>",
        )
    )


def drawing(comparison: Comparison) -> str:
    """The fleets of all policies below what arrives, as one SVG."""
    span_s = comparison.days * 86_400
    panels = [_arriving(result) for result in comparison.results[:1]]
    panels += [_fleet(result, f"{result.policy}: machines") for result in comparison.results]
    return chart(panels, span_s)


def _table(comparison: Comparison) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in COLUMNS)
    body = "".join(
        f'<tr class="{"good" if comparison.meets_target(result) else "late"}">'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for result, row in zip(comparison.results, rows(comparison), strict=True)
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _policy(comparison: Comparison, result: Result) -> str:
    span_s = comparison.days * 86_400
    waiting = Panel(
        title="requests that wait",
        lines=(
            Line(
                name="waiting",
                colour=WAITING,
                points=[(moment.at_s, moment.waiting) for moment in result.moments],
            ),
        ),
    )
    drawn = chart((_arriving(result), _fleet(result, "machines"), waiting), span_s)
    return f"<h2>{escape(result.policy)}</h2>{drawn}{_decisions(result)}"


def _arriving(result: Result) -> Panel:
    points = [(moment.at_s, moment.arriving_per_s) for moment in result.moments]
    line = Line(name="requests/s", colour=ARRIVING, points=points)
    return Panel(title="arrivals", lines=(line,))


def _fleet(result: Result, title: str) -> Panel:
    moments = result.moments
    return Panel(
        title=title,
        lines=(
            Line(
                name="starting",
                colour=ALL,
                points=[(moment.at_s, moment.ready + moment.starting) for moment in moments],
                steps=True,
                filled=True,
            ),
            Line(
                name="serving",
                colour=READY,
                points=[(moment.at_s, moment.ready) for moment in moments],
                steps=True,
                filled=True,
            ),
        ),
    )


def _decisions(result: Result) -> str:
    shown = result.decisions[:DECISIONS]
    body = "".join(_decision_rows(result))
    return (
        f"<details><summary>{result.changes:,} changes of the fleet"
        f"{f', the first {len(shown)}' if result.changes > len(shown) else ''}</summary>"
        f"<table><tr><th>at</th><th>from</th><th>to</th><th>why</th></tr>{body}</table></details>"
    )


def _decision_rows(result: Result) -> Iterator[str]:
    for decided in result.decisions[:DECISIONS]:
        hours, minutes = divmod(int(decided.at_s) // 60, 60)
        yield (
            f"<tr><td>{hours // 24} d {hours % 24:02}:{minutes:02}</td><td>{decided.before}</td>"
            f'<td>{decided.after}</td><td class="why">{escape(decided.why)}</td></tr>'
        )
