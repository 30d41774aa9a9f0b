"""`headpond up`."""

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from headpond.cli.console import show_aside, show_line, show_text
from headpond.cli.gateway import bound_to
from headpond.cli.options import ColdStartOption, ConfigOption, JsonOption, load_settings
from headpond.configuration.environment import API_KEY, CONFIG, variable_of
from headpond.demo.files import EXAMPLE_MODEL, EXAMPLE_PROMPT
from headpond.errors import SettingsError, Unavailable
from headpond.processes.child import Exit
from headpond.processes.loop import run
from headpond.processes.stopping import Stopping
from headpond.processes.supervisor import Plan, Supervisor
from headpond.services.authentication import require_safe_binding
from headpond.settings import Settings
from headpond.wiring.engines import catalogue_of, models_at, refuse_other_models
from headpond.wiring.stores import open_store

NO_MODELS = """\
Headpond is up at {url}, but no engine answers, so it does not know their models. Jobs for any model
are taken and wait for an engine that has it. Start the engine and then `headpond up` again, or list
its models in the settings (pools.default.models)."""

POOL = "default"
"""The pool that --engine and --model are about."""


def up(
    *,
    host: Annotated[str | None, typer.Option(help="Address to bind.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind; 0 takes a free one.")] = None,
    home: Annotated[str | None, typer.Option(help="Folder for data.")] = None,
    engine: Annotated[
        str | None, typer.Option(help="URL of an OpenAI-compatible server.", metavar="URL")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A GGUF file for the embedded engine.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes for each pool.")] = 1,
    autoscale: Annotated[
        bool, typer.Option("--autoscale", help="As many worker processes as there is work for.")
    ] = False,
    cold_start: ColdStartOption = 0.0,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the whole system on this machine: a gateway, workers, their engines. Ctrl-C drains."""
    options = bound_to(host, port)
    if home is not None:
        options[variable_of(("home",))] = home
    if config is not None:
        options[CONFIG] = config
    engine_options = _engine_options(engine, model)
    settings = load_settings(config, options).settings
    if engine_options and POOL not in settings.pools:
        raise SettingsError(f"--engine and --model need a pool named {POOL!r}; there is none.")
    options |= engine_options
    settings = load_settings(config, options).settings
    plan = Plan(workers, autoscale=autoscale, cold_start_s=cold_start)
    raise typer.Exit(run(_up(settings, options, plan, as_json=as_json)))


def _engine_options(url: str | None, gguf: Path | None) -> dict[str, str]:
    """What is named replaces what the file says, in both settings."""
    if url is not None and gguf is not None:
        raise SettingsError("--engine and --model exclude each other.")
    if url is None and gguf is None:
        return {}
    engine = ("pools", POOL, "engine")
    return {
        variable_of((*engine, "url")): url or "null",
        variable_of((*engine, "gguf")): "null" if gguf is None else str(gguf),
    }


async def _up(settings: Settings, options: dict[str, str], plan: Plan, *, as_json: bool) -> Exit:
    stopping = Stopping()
    stopping.listen()
    options = options | await _discovered(settings)
    settings = load_settings(None, options).settings
    supervisor = Supervisor(settings, {**os.environ, **options}, plan)
    await _admit(settings)
    async with supervisor.running(stopping) as refused:
        asked = asyncio.create_task(stopping.asked.wait())
        ready = asyncio.create_task(supervisor.ready())
        await asyncio.wait({refused, asked, ready}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            keyed = await _needs_key(settings)
            _announce(supervisor.url, settings, keyed=keyed, as_json=as_json)
            await asyncio.wait({refused, asked}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done() and not as_json:
                show_aside("Draining; once more to stop at once.")
        ready.cancel()
        asked.cancel()
    return Exit.DONE if stopping.asked.is_set() else Exit.REFUSED


async def _admit(settings: Settings) -> None:
    """Raises what gateway and workers would refuse alike, or the gateway alone, before they start.

    A store that is away is theirs to wait for.
    """
    for pool in settings.pools.values():
        refuse_other_models(pool)
    tokens = settings.auth.jwt is not None
    with contextlib.suppress(Unavailable):
        async with open_store(settings) as store:
            await require_safe_binding(settings.gateway.host, store.keys, tokens=tokens)


async def _discovered(settings: Settings) -> dict[str, str]:
    """The models of engines that tell theirs, for pools that list none."""
    found: dict[str, str] = {}
    for name, pool in settings.pools.items():
        if pool.engine.url is not None and not pool.models:
            models = await models_at(pool)
            if models:
                found[variable_of(("pools", name, "models"))] = msgspec.json.encode(models).decode()
    return found


async def _needs_key(settings: Settings) -> bool:
    """Whether the gateway asks who calls."""
    if settings.auth.jwt is not None:
        return True
    async with open_store(settings) as store:
        return bool(await store.keys.all())


def _announce(url: str, settings: Settings, *, keyed: bool, as_json: bool) -> None:
    models = [route.model for route in catalogue_of(settings).models()]
    if as_json:
        show_line({"url": url, "models": models})
    elif models:
        show_text(welcome(url, models[0], keyed=keyed))
    else:
        show_text(f"{NO_MODELS.format(url=url)}\n")


def welcome(url: str, model: str, *, keyed: bool) -> str:
    """What to paste to get a first answer; with `keyed`, a key from HEADPOND_API_KEY goes along."""
    prompt = EXAMPLE_PROMPT if model == EXAMPLE_MODEL else "Say hello."
    messages = f'[{{"role": "user", "content": "{prompt}"}}]'
    header = f' \\\n  -H "Authorization: Bearer ${API_KEY}"' if keyed else ""
    imports = "import os\n\n" if keyed else ""
    key = f'os.environ["{API_KEY}"]' if keyed else '"none-needed-here"'
    return f"""\
Headpond is up at {url}; it serves {model}. Ctrl-C drains and ends.

From a shell:

curl {url}/v1/chat/completions -H 'Content-Type: application/json'{header} \\
  -d '{{"model": "{model}", "messages": {messages}}}'

From Python (pip install openai):

{imports}from openai import OpenAI
client = OpenAI(base_url="{url}/v1", api_key={key})
messages = {messages}
answer = client.chat.completions.create(model="{model}", messages=messages)
print(answer.choices[0].message.content)
"""
