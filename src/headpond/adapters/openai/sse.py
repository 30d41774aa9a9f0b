"""Server-sent events, as bytes come in: what each event's data is.

After the format of the HTML standard (section 9.2), as far as engines use it: lines end in LF, CR
or CRLF, an empty line ends an event, several `data` lines are one text, other fields and comments
are passed over. Bytes may be cut anywhere, within a character or a CRLF.
"""

import re

_LINE_END = re.compile(rb"\r\n|\r|\n")


class EventReader:
    """One stream."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of the events that this chunk completes."""
        text = self._rest + chunk
        # A CR at the very end may be half of a CRLF.
        held = b"\r" if text.endswith(b"\r") else b""
        *lines, rest = _LINE_END.split(text[: len(text) - len(held)])
        self._rest = rest + held
        return [event for event in map(self._line, lines) if event is not None]

    def _line(self, line: bytes) -> bytes | None:
        """The event that this line ends, if it ends one."""
        if line:
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
            return None
        if not self._data:
            return None
        event, self._data = b"\n".join(self._data), []
        return event
