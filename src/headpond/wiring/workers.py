"""A worker with its engine."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from headpond.domain.lane import lanes_of
from headpond.services import reporting
from headpond.services.answers import FORGET_EVERY_S, Answers
from headpond.services.broadcast import Broadcast
from headpond.services.duty import Duty
from headpond.services.reporting import Reporter
from headpond.services.worker import Worker
from headpond.settings import Settings
from headpond.wiring.caches import open_cache
from headpond.wiring.engines import open_engine
from headpond.wiring.observers import metrics_page, observers
from headpond.wiring.stores import open_store


@asynccontextmanager
async def open_worker(settings: Settings, pool: str, *, name: str) -> AsyncGenerator[Worker]:
    """A worker of the pool, not started yet. Raises SettingsError, MissingExtra."""
    pool_settings = settings.pools[pool]
    heard = observers()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(settings))
        engine = await stack.enter_async_context(open_engine(pool_settings))
        cache = await stack.enter_async_context(open_cache(settings, store.clock))
        reporter = Reporter(store.roster, store.clock, worker=name, pool=pool)
        listener = Broadcast((heard.listener, reporter))
        duties = [Duty("report", reporter.tick, every_s=reporting.EVERY_S, listener=listener)]
        answers = None
        if cache is not None:
            answers = Answers(
                cache,
                settings=settings.cache,
                model_version=pool_settings.model_version,
                listener=listener,
            )
            duties.append(Duty("answers", cache.forget, every_s=FORGET_EVERY_S, listener=listener))
        stack.enter_context(metrics_page(settings.worker, heard.metrics))
        for duty in duties:
            duty.start()
            stack.push_async_callback(duty.stop)
        yield Worker(
            store.delivery(pool_settings),
            engine,
            streams=store.streams,
            name=name,
            lanes=lanes_of(pool),
            settings=pool_settings,
            clock=store.clock,
            listener=listener,
            answers=answers,
        )
