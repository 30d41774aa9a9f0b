"""JSON as one line of a file or a stream."""


def on_one_line(data: bytes) -> bytes:
    """The same without the line breaks between its tokens; within them JSON has none.

    Requests and answers are kept as they came, and either break ends a line somewhere.
    """
    return data.replace(b"\r", b"").replace(b"\n", b"")
