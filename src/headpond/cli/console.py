"""What all commands say in the same way: tables, JSON, complaints, times."""

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 100_000
"""Nothing is cut or wrapped for a program that reads the output."""

out = Console(
    highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_WIDTH
)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def show_json(value: object) -> None:
    """One JSON document on standard output, indented."""
    _write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def show_line(value: object) -> None:
    """One JSON document on one line."""
    _write(msgspec.json.encode(value).decode())


def show_text(text: str) -> None:
    """Text as it is, tabs too, but nothing in it commands the terminal."""
    _write(visible(text))


def show_aside(text: str) -> None:
    """What matters less than the answer, dim."""
    out.print(visible(text), style="dim", soft_wrap=True)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; None shows as nothing."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else visible(str(cell)) for cell in row))
    out.print(table)


def note(text: str) -> None:
    """On standard error, beside the output."""
    err.print(visible(text), soft_wrap=True)


def complain(text: str) -> None:
    """On standard error, a line for each problem."""
    for line in text.splitlines():
        err.print("error:", style="bold red", end=" ")
        err.print(visible(line), soft_wrap=True)


def visible(text: str) -> str:
    r"""Control characters but line breaks and tabs spelt out, as `\x1b`: others wrote the text."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _write(text: str) -> None:
    """Past rich, which replaces tabs."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def local_time(unix_s: float | None) -> str:
    """To the second, in this machine's time zone; nothing for None."""
    if unix_s is None:
        return ""
    return datetime.fromtimestamp(unix_s).astimezone().isoformat(" ", "seconds")
