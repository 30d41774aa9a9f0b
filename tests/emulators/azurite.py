"""Azure Blob Storage on this machine: Azurite, Microsoft's own emulator, an npm package.

It is looked for in `.cache/azurite`. Where CI is set and there is npm, it is installed there.
"""

import asyncio
import base64
import hmac
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

FOLDER = Path(__file__).parents[2] / ".cache" / "azurite"
PROGRAM = FOLDER / "node_modules" / ".bin" / "azurite-blob"
INSTALL = ("npm", "install", "--silent", "--no-save", "--prefix", str(FOLDER), "azurite@3.35.0")

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of every Azurite; it is no secret."""


def find_azurite() -> None:
    """Have it, or skip; fails where it should be had."""
    if PROGRAM.exists():
        return
    if shutil.which("npm") is None or "CI" not in os.environ:
        pytest.skip(f"Azure Blob Storage is untested: {' '.join(INSTALL)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    subprocess.run(INSTALL, check=True, timeout=240)  # noqa: S603 - our own command


@asynccontextmanager
async def azurite() -> AsyncGenerator[str]:
    """Its address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    options = ("--silent", "--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck")
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM), "--blobPort", str(port), *options, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        await _until_it_listens(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def make_container(url: str, name: str) -> None:
    """By a request that is signed with the account's key."""
    headers = {
        "x-ms-date": datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "x-ms-version": "2021-08-06",
    }
    signed = "\n".join(
        [
            *("PUT", *("",) * 11),
            *(f"{name}:{value}" for name, value in headers.items()),
            f"/{ACCOUNT}/{ACCOUNT}/{name}",
            "restype:container",
        ]
    )
    digest = hmac.digest(base64.b64decode(KEY), signed.encode(), "sha256")
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    async with (
        aiohttp.ClientSession() as session,
        session.put(
            f"{url}/{ACCOUNT}/{name}?restype=container",
            headers=headers,
            skip_auto_headers=["Content-Type"],
        ) as answer,
    ):
        answer.raise_for_status()


async def _until_it_listens(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
