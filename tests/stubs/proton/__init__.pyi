# As much of python-qpid-proton as the emulator of Service Bus needs to be checked without it.
from typing import Any

class Handler:
    def __init__(self) -> None: ...

def __getattr__(name: str) -> Any: ...  # pyright: ignore[reportIncompleteStub]
