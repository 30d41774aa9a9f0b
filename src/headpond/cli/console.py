"""What all commands say in the same way: tables, JSON, complaints, times."""

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec
from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 100_000
"""Nothing is cut or wrapped for a program that reads the output."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False)


def show_json(value: object) -> None:
    """One JSON document on standard output, indented."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    out.print(text, markup=False, soft_wrap=True)


def show_line(value: object) -> None:
    """One JSON document on one line."""
    out.print(msgspec.json.encode(value).decode(), markup=False, soft_wrap=True)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table; None shows as nothing."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    out.print(table, markup=False)


def complain(text: str) -> None:
    """On standard error, a line for each problem."""
    for line in text.splitlines():
        err.print("error:", style="bold red", end=" ")
        err.print(line, markup=False, soft_wrap=True)


def local_time(unix_s: float | None) -> str:
    """To the second, in this machine's time zone; nothing for None."""
    if unix_s is None:
        return ""
    return datetime.fromtimestamp(unix_s).astimezone().isoformat(" ", "seconds")
