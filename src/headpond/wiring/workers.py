"""A worker with its engine."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from headpond.domain.lane import lanes_of
from headpond.services import reporting
from headpond.services.broadcast import Broadcast
from headpond.services.duty import Duty
from headpond.services.reporting import Reporter
from headpond.services.worker import Worker
from headpond.settings import Settings
from headpond.wiring.engines import open_engine
from headpond.wiring.observers import metrics_page, observers
from headpond.wiring.stores import open_store


@asynccontextmanager
async def open_worker(settings: Settings, pool: str, *, name: str) -> AsyncGenerator[Worker]:
    """A worker of the pool, not started yet. Raises SettingsError, MissingExtra."""
    pool_settings = settings.pools[pool]
    heard = observers()
    async with open_store(settings) as store, open_engine(pool_settings) as engine:
        reporter = Reporter(store.roster, store.clock, worker=name, pool=pool)
        listener = Broadcast((heard.listener, reporter))
        duty = Duty("report", reporter.tick, every_s=reporting.EVERY_S, listener=listener)
        with metrics_page(settings.worker, heard.metrics):
            duty.start()
            try:
                yield Worker(
                    store.delivery(pool_settings),
                    engine,
                    streams=store.streams,
                    name=name,
                    lanes=lanes_of(pool),
                    settings=pool_settings,
                    clock=store.clock,
                    listener=listener,
                )
            finally:
                await duty.stop()
