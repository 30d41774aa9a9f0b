"""A real server on a free port, with a real worker behind it and a scripted engine."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override

from headpond.domain.outcome import Broke, Outcome, Refused
from headpond.ports.engine import Engine, Gauges
from headpond.services.duty import Duty
from headpond.services.worker import Worker
from headpond.settings import PoolSettings
from tests.stages import LANES, Stage, answered


class ScriptedEngine(Engine):
    """Echoes the last message once the gate is open; some words make it behave otherwise."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    @override
    def name(self) -> str:
        return "scripted"

    @override
    async def complete(self, model: str, request: bytes) -> Outcome:
        asked = msgspec.json.decode(request)
        text = asked["messages"][-1].get("content")
        self.asked.set()
        await self.gate.wait()
        match text:
            case "refuse":
                return Refused("This model's context is too short.", "context_length_exceeded")
            case "break":
                return Broke("It broke.")
            case "call":
                function = {"name": "weather", "arguments": '{"city":"Bonn"}'}
                call = {"id": "call_1", "type": "function", "function": function}
                return answered(None, tool_calls=[call], finish_reason="tool_calls")
            case _:
                return answered(f"echo: {text}")

    @override
    async def healthy(self) -> bool:
        return True

    @override
    async def models(self) -> list[str]:
        return ["model"]

    @override
    async def gauges(self) -> Gauges:
        return Gauges()

    @override
    async def close(self) -> None:
        return


@dataclass
class Running:
    """The gateway at `url`, and the engine behind it."""

    url: str
    stage: Stage
    engine: ScriptedEngine


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncGenerator[str]:
    """Serve an app on a free port; yields its URL."""
    config = uvicorn.Config(
        app, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    port = server.servers[0].sockets[0].getsockname()[1]
    running = asyncio.create_task(server.main_loop())
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await running
        await server.shutdown()


@asynccontextmanager
async def running_gateway(stage: Stage) -> AsyncGenerator[Running]:
    """All of it; the gateway stops last, so that nobody waits in vain."""
    engine = ScriptedEngine()
    worker = Worker(
        stage.delivery,
        engine,
        streams=stage.streams,
        name="w",
        lanes=LANES,
        settings=PoolSettings(),
        clock=stage.clock,
        listener=stage.recorder,
    )
    runner = stage.runner()
    batches = Duty("batches", runner.tick, every_s=0.01, listener=stage.recorder)
    async with serving(stage.app) as url:
        worker.start()
        batches.start()
        yield Running(url, stage, engine)
        engine.gate.set()
        await worker.stop(grace_s=1)
        await batches.stop()
        await runner.stop()
