"""Autoscalers and protectors with their fleets."""

import logging
import os
import platform
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from headpond.adapters.local.fleet import Process
from headpond.ports.events import Listener
from headpond.ports.fleet import Fleet
from headpond.services.autoscaler import Autoscaler
from headpond.services.duty import Duty
from headpond.services.protector import Protector
from headpond.settings import Settings
from headpond.wiring.fleets import Fleets
from headpond.wiring.observers import metrics_page, observers
from headpond.wiring.stores import Store, open_store

log = logging.getLogger(__name__)

Launch = Callable[[str, str], Process]
"""The process of a worker of a pool that reports under a name."""


@asynccontextmanager
async def open_scalers(
    settings: Settings, launch: Launch, *, cold_start_s: float
) -> AsyncGenerator[None]:
    """An autoscaler for each pool, at work; at the end what runs on this machine is drained.

    A pool that another scales has protectors instead.
    Raises SettingsError, MissingExtra, Unavailable.
    """
    heard = observers()
    name = f"{platform.node()}-{os.getpid()}-{secrets.token_hex(4)}"
    async with open_store(settings) as store, AsyncExitStack() as stack:
        stack.enter_context(metrics_page(settings.scaler, heard.metrics))
        fleets = Fleets(settings, store.clock, stack, cold_start_s=cold_start_s)

        def begin(duty: str, tick: Callable[[], Awaitable[object]]) -> None:
            begun = Duty(duty, tick, every_s=settings.scaler.every_s, listener=heard.listener)
            stack.push_async_callback(begun.stop)
            begun.start()

        for pool, pool_settings in settings.pools.items():
            if pool_settings.scaling.decides == "other":
                log.info(
                    "another decides how many workers the pool %s has: busy ones go last", pool
                )
                for ranked in await fleets.ranked(pool_settings):
                    protector = Protector(pool, ranked, store.roster, store.clock)
                    begin("protector", protector.tick)
                continue
            fleet = await fleets.of_pool(
                pool_settings, f"{pool}-{name}", lambda worker, pool=pool: launch(pool, worker)
            )
            scaler = _autoscaler(
                settings, pool, store, fleet=fleet, name=name, listener=heard.listener
            )
            # In reverse: nothing is decided any more, the fleet drains, another may lead.
            stack.push_async_callback(scaler.stop)
            stack.push_async_callback(fleet.close)
            begin("scaler", scaler.tick)
        yield


def _autoscaler(
    settings: Settings, pool: str, store: Store, *, fleet: Fleet, name: str, listener: Listener
) -> Autoscaler:
    return Autoscaler(
        pool,
        settings.pools[pool].scaling,
        queue=store.queue,
        workload=store.workload,
        roster=store.roster,
        store=store.scaling,
        fleet=fleet,
        name=name,
        lease_s=settings.scaler.lease_s,
        keep_s=settings.scaler.keep_s,
        clock=store.clock,
        listener=listener,
    )
