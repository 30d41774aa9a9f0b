"""Engines, and which models they serve."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from headpond.adapters.openai.engine import OpenAIEngine
from headpond.demo.files import EXAMPLE_MODEL, model_file
from headpond.domain.catalogue import Catalogue
from headpond.errors import SettingsError
from headpond.ports.engine import Engine
from headpond.settings import PoolSettings, Settings


@asynccontextmanager
async def open_engine(pool: PoolSettings) -> AsyncGenerator[Engine]:
    """The engine of a pool; an embedded one is started here and lives as long as this does.

    Raises SettingsError where the example would answer under another model's name.
    """
    refuse_other_models(pool)
    settings = pool.engine
    async with AsyncExitStack() as stack:
        if settings.url is not None:
            url = settings.url
        else:
            from headpond.adapters.llamacpp.server import LlamaCppServer

            server = LlamaCppServer(
                model_file() if settings.gguf is None else Path(settings.gguf),
                aliases=models_of(pool),
                context_tokens=settings.context_tokens,
                slots=pool.max_in_flight,
                threads=settings.threads,
            )
            stack.push_async_callback(server.stop)
            await server.start()
            stack.push_async_callback(_end, asyncio.create_task(server.watch(), name="engine"))
            url = server.url
        engine = OpenAIEngine(
            urlsplit(url).netloc.rpartition("@")[2],
            url,
            api_key=settings.api_key,
            timeout_s=settings.timeout_s,
            max_connections=pool.max_in_flight,
        )
        stack.push_async_callback(engine.close)
        yield engine


async def models_at(pool: PoolSettings) -> list[str]:
    """What the pool's server says that it serves; nothing if it does not answer."""
    async with open_engine(pool) as engine:
        return await engine.models()


def catalogue_of(settings: Settings) -> Catalogue:
    """Which pool serves which model."""
    return Catalogue({name: models_of(pool) for name, pool in settings.pools.items()})


def models_of(pool: PoolSettings) -> tuple[str, ...]:
    """The models of a pool: those listed, or what its embedded engine serves."""
    match pool:
        case PoolSettings(models=models) if models:
            return models
        case PoolSettings(engine=engine) if engine.url is not None:
            return ()
        case PoolSettings(engine=engine) if engine.gguf is not None:
            return (Path(engine.gguf).stem,)
        case _:
            return (EXAMPLE_MODEL,)


def refuse_other_models(pool: PoolSettings) -> None:
    """Raises SettingsError where the example would answer under another model's name.

    A gateway does without its workers' engine, so this is not asked of it.
    """
    example = pool.engine.url is None and pool.engine.gguf is None
    if example and set(pool.models) - {EXAMPLE_MODEL}:
        raise SettingsError(
            f"a pool with the models {', '.join(pool.models)} needs engine.url or engine.gguf: "
            f"without them it serves the example, whose model is {EXAMPLE_MODEL}."
        )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
