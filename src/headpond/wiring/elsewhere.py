"""What the settings put elsewhere than in the store: the queue, token streams, rate limits."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headpond.errors import MissingExtra, SettingsError
from headpond.ports.blobs import Blobs
from headpond.ports.buckets import Buckets
from headpond.ports.clock import Clock
from headpond.ports.jobs import JobStore
from headpond.ports.objects import ObjectStore
from headpond.ports.queue import DeadLetterQueue, MessageLookup, Queue
from headpond.ports.streams import TokenStreams
from headpond.settings import BatchSettings, Settings
from headpond.wiring.extras import require_for

if TYPE_CHECKING:
    from headpond.adapters.handles.queue import HandleQueue
    from headpond.adapters.redis.server import RedisServer


@dataclass(frozen=True, kw_only=True, slots=True)
class ApartQueue:
    """A queue beside the store, with what it has in its power."""

    queue: Queue
    lookup: MessageLookup | None = None
    dead_letters: DeadLetterQueue | None = None


class Elsewhere:
    """Opens each when it is asked for, for as long as `stack` lives; None stays in the store.

    Each raises SettingsError and MissingExtra.
    """

    def __init__(self, settings: Settings, clock: Clock, stack: AsyncExitStack) -> None:
        self._settings = settings
        self._clock = clock
        self._stack = stack
        self._redis: dict[str, RedisServer] = {}
        self._bucket: Any | None = None

    async def queue(self) -> ApartQueue | None:
        """The queue, where it is not that of the store."""
        url = self._settings.queue
        if url is None:
            return None
        require_for(url)
        match url.partition("://")[0]:
            case "sqs":
                sqs = await self._sqs(url)
                return ApartQueue(queue=sqs, dead_letters=sqs)
            case "pubsub":
                pubsub = await self._pubsub(url)
                return ApartQueue(queue=pubsub, dead_letters=pubsub)
            case "servicebus":
                servicebus = await self._servicebus(url)
                return ApartQueue(queue=servicebus, dead_letters=servicebus)
            case _:
                server = await self._server(url)
                from headpond.adapters.redis.queue import RedisQueue

                redis = RedisQueue(server, self._clock)
                return ApartQueue(queue=redis, lookup=redis)

    async def streams(self, jobs: JobStore) -> TokenStreams | None:
        """The token streams of the jobs."""
        if self._settings.streams is None:
            return None
        server = await self._server(self._settings.streams)
        from headpond.adapters.redis.streams import RedisTokenStreams

        return RedisTokenStreams(server, jobs)

    async def blobs(self) -> Blobs | None:
        """The bytes of files."""
        bucket = await self._files()
        if bucket is None:
            return None
        from headpond.adapters.obstore.blobs import ObjectBlobs

        return ObjectBlobs(bucket)

    async def objects(self) -> ObjectStore | None:
        """Beside the bytes of files, the large bodies of a store that has little room for them."""
        bucket = await self._files()
        if bucket is None:
            return None
        from headpond.adapters.obstore.objects import Objects

        return Objects(bucket, code="bodies_unavailable")

    async def buckets(self) -> Buckets | None:
        """The rate limits that gateways share."""
        if self._settings.limits.shared is None:
            return None
        server = await self._server(self._settings.limits.shared)
        from headpond.adapters.redis.buckets import RedisBuckets

        return RedisBuckets(server, self._clock)

    async def _files(self) -> Any | None:
        """The bucket of `batches.files`, asked once whether it is there."""
        url = self._settings.batches.files
        if url is not None and self._bucket is None:
            bucket = bucket_of(self._settings.batches)
            from headpond.adapters.obstore.opening import refuse_unusable

            await refuse_unusable("batches.files", url, bucket)
            self._bucket = bucket
        return self._bucket

    async def _sqs(self, url: str) -> "HandleQueue":
        from headpond.adapters.aws import calls, queue

        return await self._stack.enter_async_context(
            queue.open_queue(calls.place_of(url), self._clock)
        )

    async def _pubsub(self, url: str) -> "HandleQueue":
        from headpond.adapters.gcp import places, queue

        return await self._stack.enter_async_context(
            queue.open_queue(places.place_of(url), self._clock)
        )

    async def _servicebus(self, url: str) -> "HandleQueue":
        from headpond.adapters.azure import namespaces, queue

        return await self._stack.enter_async_context(
            queue.open_queue(namespaces.place_of(url), self._clock)
        )

    async def _server(self, url: str) -> "RedisServer":
        """One connection for each server, however many of its powers are used."""
        if url not in self._redis:
            server = self._redis[url] = redis_at(url)
            self._stack.push_async_callback(server.close)
            await server.check()
        return self._redis[url]


def bucket_of(batches: BatchSettings) -> Any | None:
    """Where files lie, for the adapter, None in the store; nobody is asked.

    Raises SettingsError, MissingExtra.
    """
    if batches.files is None:
        return None
    try:
        from headpond.adapters.obstore.opening import open_at
    except ImportError as error:
        raise MissingExtra("archive", "Files in an object store") from error
    return open_at("batches.files", batches.files, batches.options)


def redis_at(url: str) -> "RedisServer":
    """What the URL names, not connected yet. Raises SettingsError, MissingExtra."""
    require_for(url)
    from headpond.adapters.redis.cluster import RedisClusterServer
    from headpond.adapters.redis.server import RedisServer

    scheme, _, place = url.partition("://")
    match scheme.partition("+"):
        case ("redis" | "rediss" as plain, _, "cluster"):
            return RedisClusterServer(f"{plain}://{place}")
        case ("redis" | "rediss", _, ""):
            return RedisServer(url)
        case _:
            raise SettingsError(f"{scheme}:// names nothing that Headpond has.")
