"""What the types alone cannot say: settings that do not go together."""

import ipaddress
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from posixpath import normpath
from urllib.parse import unquote, urlsplit

from headpond.configuration.written import Path
from headpond.domain.lane import lanes_of
from headpond.domain.queue_limits import PUBSUB, SERVICE_BUS, SQS, Limits, span
from headpond.domain.scaling.checking import faults
from headpond.settings import PoolSettings, Settings

Complaint = tuple[Path, str]
"""Where, and what is wrong there."""

POOL_NAME = re.compile(r"(?!.*__)[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
"""Not with `__`, which stands between the levels in variables."""

STORES = {
    "sqlite:///FILE": re.compile(r"sqlite:///.+"),
    "postgresql://USER@HOST/DATABASE": re.compile(r"postgresql://.+"),
    "dynamodb://REGION/TABLE": re.compile(
        r"dynamodb://[a-z0-9-]+/[A-Za-z0-9_.-]{3,255}(\?endpoint=[^?&]+)?"
    ),
    "firestore://PROJECT/COLLECTION": re.compile(
        r"firestore://[a-z0-9:.-]+/[A-Za-z0-9_-]{1,100}(\?database=[a-z0-9()-]+)?"
    ),
    "cosmos://ACCOUNT/DATABASE/CONTAINER": re.compile(
        r"cosmos://[a-z0-9-]{3,44}(/[A-Za-z0-9_.-]{1,255}){2}"
        r"(\?(endpoint|key)=[^?&]+(&(endpoint|key)=[^?&]+)?)?"
    ),
}
CACHES = {"sqlite:///FILE": STORES["sqlite:///FILE"]}
QUEUES = {
    "sqs://REGION/PREFIX": re.compile(r"sqs://[a-z0-9-]+/[A-Za-z0-9_-]{1,40}(\?endpoint=[^?&]+)?"),
    "pubsub://PROJECT/PREFIX": re.compile(
        r"pubsub://[a-z0-9:.-]+/(?!goog)[A-Za-z][A-Za-z0-9_-]{0,99}"
    ),
    "servicebus://NAMESPACE.servicebus.windows.net/PREFIX": re.compile(
        r"servicebus://([A-Za-z0-9_-]+:[^@?#]+@)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?"
        r"/[A-Za-z0-9][A-Za-z0-9_-]{0,99}(\?emulator=[^?&]+)?"
    ),
}
FLEETS = {
    "kubernetes://NAMESPACE/DEPLOYMENT": re.compile(r"kubernetes://[a-z0-9-]+/[a-z0-9.-]+"),
    "ecs://REGION/CLUSTER/SERVICE": re.compile(
        r"ecs://[a-z0-9-]+/[A-Za-z0-9_-]+/[A-Za-z0-9_-]+(\?endpoint=[^?&]+)?"
    ),
}
NEAR = 0.8
"""So much alike are postgres and postgresql, and not mysql and sqlite."""

FOLDER = re.compile(r"(?i:file):///.+")
"""What stands between the second slash and the third would be a machine."""

WITHOUT_QUEUE = ("dynamodb", "firestore", "cosmos")
"""Stores that have no queue of their own."""

LIMITS = {
    "sqs": ("SQS leases", SQS),
    "pubsub": ("Pub/Sub leases", PUBSUB),
    "servicebus": ("Service Bus locks", SERVICE_BUS),
}
"""Of queues that have some, with the beginning of a complaint."""

LONGEST_NAMES = {"sqs": (80, "SQS takes 80 characters")}

REDIS = ("redis", "rediss", "redis+cluster", "rediss+cluster")


def broken_rules(settings: Settings) -> Iterator[Complaint]:
    """Every rule that the settings break."""
    yield from _place(("store",), "store", settings.store, STORES, ", ".join(STORES))
    yield from _queue(settings)
    yield from _apart(settings.batches.files, settings.archive.url)
    yield from _cache(settings)
    yield from _redis(("streams",), settings.streams)
    yield from _redis(("limits", "shared"), settings.limits.shared)
    yield from _folder(("archive", "url"), settings.archive.url)
    yield from _folder(("batches", "files"), settings.batches.files)
    yield from _pools(settings.pools)
    yield from _unseen(settings.reaper.unseen_s, settings.pools)
    for name, pool in settings.pools.items():
        yield from _pool(("pools", name), name, pool)
    for network in settings.webhooks.allowed_networks:
        yield from _network(("webhooks", "allowed_networks"), network)


def _place(
    path: Path, what: str, url: str, forms: Mapping[str, re.Pattern[str]], known: str
) -> Iterator[Complaint]:
    if not any(form.fullmatch(url) for form in forms.values()):
        yield path, f"this names no {what}{_meant(url, forms)}; it can be {known}"


def _meant(url: str, forms: Iterable[str]) -> str:
    """A question, if the URL begins nearly as one of the forms."""
    schemes = [form.partition("://")[0] for form in forms]
    written = url.partition("://")[0]
    near = get_close_matches(written, schemes, 1, NEAR)
    return f" (did you mean {near[0]}://?)" if near and near[0] != written else ""


def _queue(settings: Settings) -> Iterator[Complaint]:
    url, store = settings.queue, settings.store.partition("://")[0]
    scheme = "" if url is None else url.partition("://")[0]
    if store in WITHOUT_QUEUE and url is None:
        yield ("queue",), f"a store on {store} needs one: {', '.join(QUEUES)}, redis://HOST:PORT/DB"
    elif scheme in REDIS:
        yield from _redis(("queue",), url)
    elif url is not None:
        known = f"{', '.join(QUEUES)}, redis://HOST:PORT/DB"
        yield from _place(("queue",), "queue", url, QUEUES, known)
    who, limits = LIMITS.get(scheme, ("", Limits()))
    for name, pool in settings.pools.items():
        if pool.lease_s > limits.lease_s:
            words = f"{who} nothing for longer than {span(limits.lease_s)}"
            yield ("pools", name, "lease_s"), words
        yield from _lanes(("pools", name), scheme, str(url), name)


def _lanes(path: Path, scheme: str, url: str, pool: str) -> Iterator[Complaint]:
    """What the queues of a pool are called there may be longer than its parts."""
    chars, words = LONGEST_NAMES.get(scheme, (math.inf, ""))
    prefix = url.partition("?")[0].rpartition("/")[2]
    longest = max((f"{prefix}-{lane.pool}-{lane.priority}" for lane in lanes_of(pool)), key=len)
    if len(longest) > chars:
        words = (
            f"its queue would be called {longest}, of {len(longest)} characters, and {words}; "
            "shorten the pool's name or the prefix in queue"
        )
        yield path, words


def _unseen(unseen_s: float | None, pools: Mapping[str, PoolSettings]) -> Iterator[Complaint]:
    """What still runs is taken from its worker after that time, too."""
    for name, pool in pools.items():
        if unseen_s is not None and unseen_s <= pool.engine.timeout_s:
            words = f"it must be more than pools.{name}.engine.timeout_s, the longest run"
            yield ("reaper", "unseen_s"), words


def _apart(files: str | None, archive: str | None) -> Iterator[Complaint]:
    """Blobs that no file names are removed: nothing else should be where they are."""
    if files is None or archive is None:
        return
    ours, theirs = _segments(files), _segments(archive)
    shorter = min(len(ours), len(theirs))
    if ours[:shorter] == theirs[:shorter]:
        words = "it is, holds or lies in archive.url; give each a path of its own"
        yield ("batches", "files"), words


def _cache(settings: Settings) -> Iterator[Complaint]:
    cache, retention = settings.cache, settings.retention
    if cache.url is None:
        return
    if not _is_redis(cache.url):
        known = "sqlite:///FILE, redis://HOST:PORT/DB"
        yield from _place(("cache", "url"), "cache", cache.url, CACHES, known)
    if _segments(cache.url) == _segments(settings.store):
        yield ("cache", "url"), "it is the store; give the cache a file of its own"
    if cache.max_answer_bytes > cache.max_bytes:
        yield ("cache", "max_answer_bytes"), "it must not be more than max_bytes"
    spans = [span for span in (retention.keep_s, *retention.teams.values()) if span is not None]
    if cache.keep_s > min(spans, default=math.inf):
        words = "answers must not be kept for longer than the results they are, see retention"
        yield ("cache", "keep_s"), words


def _segments(url: str) -> list[str]:
    scheme, _, rest = url.partition(":")
    return [scheme.lower(), *filter(None, normpath(unquote(rest)).split("/"))]


def _redis(path: Path, url: str | None) -> Iterator[Complaint]:
    if url is not None and not _is_redis(url):
        schemes = ", ".join(f"{scheme}://" for scheme in REDIS)
        yield path, f"it must be like redis://HOST:PORT/DB; it can begin with {schemes}"


def _folder(path: Path, url: str | None) -> Iterator[Complaint]:
    if url is not None and url.lower().startswith("file:") and not FOLDER.fullmatch(url):
        words = "a folder is named as file:///FOLDER, with three slashes and its whole path"
        yield path, words


def _is_redis(url: str) -> bool:
    try:
        parts = urlsplit(url)
        database = parts.path.removeprefix("/")
        # A cluster has one database, which needs no name.
        named = not database or (database.isdecimal() and "cluster" not in parts.scheme)
        return parts.scheme in REDIS and bool(parts.hostname) and parts.port != 0 and named
    except ValueError:
        return False


def _pools(pools: dict[str, PoolSettings]) -> Iterator[Complaint]:
    if not pools:
        yield ("pools",), "there must be at least one pool"
    serves: dict[str, str] = {}
    for name, pool in pools.items():
        for model in pool.models:
            if model in serves:
                first = serves[model]
                words = (
                    f"the model {model!r} is listed here and in the pool {first!r}; a model "
                    "belongs to one pool, which its jobs then go to"
                )
                yield ("pools", name, "models"), words
            serves.setdefault(model, name)
    open_pools = [name for name, pool in pools.items() if not pool.models]
    for name in open_pools[1:]:
        words = (
            f"the pools {open_pools[0]!r} and {name!r} both list no models and so take any; "
            "list the models of at least one"
        )
        yield ("pools", name, "models"), words


def _pool(path: Path, name: str, pool: PoolSettings) -> Iterator[Complaint]:
    if not POOL_NAME.fullmatch(name):
        words = "use 1 to 63 of a-z, 0-9, '-' and '_', but not '__'"
        yield path, f"{name!r} cannot name a pool; {words}"
    engine = pool.engine
    if engine.url is not None and engine.gguf is not None:
        yield (*path, "engine"), "url and gguf exclude each other; remove one of them"
    if engine.url is not None and not _is_http(engine.url):
        yield (*path, "engine", "url"), "it must begin with http:// or https:// and name a host"
    if pool.retry.first_delay_s > pool.retry.max_delay_s:
        yield (*path, "retry", "first_delay_s"), "it must not be more than max_delay_s"
    for place, words in faults(pool.scaling):
        yield (*path, "scaling", *place), words
    yield from _fleets(path, pool)


def _fleets(path: Path, pool: PoolSettings) -> Iterator[Complaint]:
    known = ", ".join(FLEETS)
    if pool.fleet != "local":
        yield from _place((*path, "fleet"), "fleet", pool.fleet, FLEETS, f"local, {known}")
    if pool.spot_fleet is not None:
        yield from _place((*path, "spot_fleet"), "spot fleet", pool.spot_fleet, FLEETS, known)
        if pool.spot_fleet == pool.fleet:
            yield (*path, "spot_fleet"), "it must be another one than fleet"
    elif pool.scaling.on_demand:
        words = "without a spot_fleet, all workers are of fleet; set spot_fleet, or remove this"
        yield (*path, "scaling", "on_demand"), words
    fleets = [fleet for fleet in (pool.fleet, pool.spot_fleet) if fleet is not None]
    if pool.scaling.decides == "other" and not all(map(_is_on_kubernetes, fleets)):
        words = "only fleets on Kubernetes can be told who goes last; let headpond decide"
        yield (*path, "scaling", "decides"), words


def _is_on_kubernetes(fleet: str) -> bool:
    return fleet.startswith("kubernetes:")


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def _network(path: Path, network: str) -> Iterator[Complaint]:
    try:
        ipaddress.ip_network(network)
    except ValueError as error:
        yield path, f"this is no network in CIDR form, like 10.1.0.0/16: {error}"
