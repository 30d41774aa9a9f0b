"""What others wrote reaches the terminal as they wrote it, and does nothing there."""

import json

import pytest

from headpond.cli.console import complain, show_json, show_line, show_table, show_text

WRITTEN = "a\tb :smile: [bold]c[/bold]\n"
COMMANDS = "\x1b[2J\r\x07\x9b31m\x7f"
SPELT_OUT = r"\x1b[2J\x0d\x07\x9b31m\x7f"


@pytest.mark.parametrize("show", [show_json, show_line])
def test_json_goes_out_as_it_is(show: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert callable(show)
    show({"text": WRITTEN + COMMANDS, ":smile:": "\t"})
    told = capsys.readouterr().out
    assert json.loads(told) == {"text": WRITTEN + COMMANDS, ":smile:": "\t"}
    assert ":smile:" in told


def test_text_goes_out_as_it_is_but_commands_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show_text(WRITTEN + COMMANDS)
    assert capsys.readouterr().out == f"{WRITTEN}{SPELT_OUT}\n"


def test_a_cell_of_a_table_commands_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("text",), [(f":smile: [bold] {COMMANDS}",)])
    assert f":smile: [bold] {SPELT_OUT}" in capsys.readouterr().out


def test_a_complaint_commands_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    complain(f":smile: [bold] {COMMANDS[:4]}")
    assert capsys.readouterr().err == f"error: :smile: [bold] {SPELT_OUT[:7]}\n"
