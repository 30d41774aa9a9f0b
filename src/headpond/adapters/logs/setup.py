"""Sets up the standard library's logging: one handler, to standard error, console or JSON.

A record's event is its message; structured fields travel as `extra={"fields": {...}}`.
"""

import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO, cast

import msgspec
from typing_extensions import override

from headpond.settings import LogSettings


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `event`, then the fields."""

    def __init__(self) -> None:
        super().__init__()
        self._encoder = msgspec.json.Encoder(enc_hook=str)

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        for name, value in fields_of(record).items():
            line.setdefault(name, value)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return self._encoder.encode(line).decode()


class ConsoleFormatter(logging.Formatter):
    """For people: time, level, event, then `name=value` for each field."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        words = [_time(record), f"{record.levelname:<7}", record.getMessage()]
        words += [f"{name}={_shown(value)}" for name, value in fields_of(record).items()]
        line = "  ".join(words[:3]) + "".join(f"  {word}" for word in words[3:])
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


class StderrHandler(logging.StreamHandler[TextIO]):
    """Ours, so that a second `configure` finds it and leaves other people's alone."""


def configure(settings: LogSettings) -> None:
    """Send all logs of this process to standard error. Works twice.

    Other libraries stay at `warning` or above: what else they say is about themselves, tells of
    every request, or shows bodies.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    handler = StderrHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else ConsoleFormatter())
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old, StderrHandler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("headpond").setLevel(level)


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """The structured fields of a record; empty for those of other libraries."""
    fields: object = getattr(record, "fields", None)
    return cast("Mapping[str, object]", fields) if isinstance(fields, Mapping) else {}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _shown(value: object) -> str:
    """Plain where that is clear, else quoted, so that no value can forge a field or a line."""
    text = str(value)
    plain = text.isprintable() and text and not any(sign in text for sign in ' "=')
    return text if plain else msgspec.json.encode(text).decode()
