"""Another emulator of Cosmos DB on this machine: an npm package, which ours is compared with.

It is looked for in `.cache/cosmosdb-server`. Where CI is set and there is npm, it is installed
there.
"""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / ".cache" / "cosmosdb-server"
PROGRAM = FOLDER / "node_modules" / ".bin" / "cosmosdb-server"
PACKAGE = "@vercel/cosmosdb-server@1.0.1"
INSTALL = ("npm", "install", "--silent", "--no-save", "--prefix", str(FOLDER), PACKAGE)


@asynccontextmanager
async def npm_cosmos() -> AsyncGenerator[str]:
    """Its address; skips where it is not, and fails where it should be had."""
    if not PROGRAM.exists():
        if shutil.which("npm") is None or "CI" not in os.environ:
            pytest.skip(f"Our emulator has nothing beside it: {' '.join(INSTALL)}")
        FOLDER.mkdir(parents=True, exist_ok=True)
        subprocess.run(INSTALL, check=True, timeout=240)  # noqa: ASYNC221, S603 - our own command
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(str(PROGRAM), "--port", str(port), "--host", "127.0.0.1", "--no-ssl"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        assert b"Ready" in await process.stdout.readline()
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        await process.wait()
