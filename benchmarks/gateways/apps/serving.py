"""How all bare ASGI applications are served: one process, uvloop, httptools, no access log."""

import argparse
from typing import Any

import uvicorn


def parser() -> argparse.ArgumentParser:
    """Return a parser with the options that all applications share."""
    options = argparse.ArgumentParser()
    options.add_argument("--port", type=int, required=True)
    return options


def serve(app: Any, port: int) -> None:
    """Serve until the process is ended."""
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )
