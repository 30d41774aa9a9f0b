"""The report: everything in one file, and numbers that people can read."""

from xml.etree import ElementTree as ET

from headpond.simulator.capacity import flat
from headpond.simulator.comparison import compare
from headpond.simulator.fluid import Setting
from headpond.simulator.report.chart import Line, Panel, chart, nice, short
from headpond.simulator.report.page import drawing, page
from headpond.simulator.report.table import COLUMNS, rows, summary
from headpond.simulator.scalers.naming import Bounds
from headpond.simulator.traces import read_trace

SETTING = Setting(trace=read_trace("diurnal:1", days=0.2), capacity=flat(1.0))
COMPARISON = compare(SETTING, ["flow", "article"], Bounds(), optimum=True)


def test_the_table_has_a_row_for_each_policy() -> None:
    found = list(rows(COMPARISON))
    assert [row[0] for row in found] == ["flow", "article"]
    assert {len(row) for row in found} == {len(COLUMNS)}
    assert found[0][1].startswith("$")
    assert any("offline optimum" in line for line in summary(COMPARISON))


def test_the_page_loads_nothing_and_says_why_the_fleet_changed() -> None:
    html = page(COMPARISON)
    assert "http" not in html.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert html.count("<svg") == 2
    assert "messages are visible" in html
    assert "<script" not in html


def test_the_drawing_is_well_formed() -> None:
    root = ET.fromstring(drawing(COMPARISON))  # noqa: S314 - our own
    assert root.tag.endswith("svg")
    empty = chart([Panel(title="a < b", lines=[Line(name="x", colour="#000", points=[])])], 0.0)
    assert "a &lt; b" in empty


def test_scales_end_at_round_numbers() -> None:
    assert [nice(highest) for highest in (0, 0.3, 1, 7, 12, 51)] == [1.0, 0.5, 1, 10, 20, 100]
    assert [short(value) for value in (0.5, 1500.0, 2e6)] == ["0.5", "1.5k", "2M"]


def test_time_is_told_in_a_unit_that_fits() -> None:
    line = Line(name="x", colour="#000", points=[(0.0, 1.0), (30.0, 2.0)], steps=True, filled=True)
    for span_s, unit in ((30.0, " s"), (600.0, " min"), (20_000.0, " h"), (400_000.0, " d")):
        assert unit in chart([Panel(title="t", lines=[line])], span_s)
