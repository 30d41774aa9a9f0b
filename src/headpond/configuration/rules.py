"""What the types alone cannot say: settings that do not go together."""

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from headpond.configuration.written import Path
from headpond.settings import PoolSettings, Settings

Complaint = tuple[Path, str]
"""Where, and what is wrong there."""

POOL_NAME = re.compile(r"(?!.*__)[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
"""Not with `__`, which stands between the levels in variables."""

STORES = {"sqlite": "sqlite:///FILE", "postgresql": "postgresql://USER@HOST/DATABASE"}
"""The schemes of stores, with the form of each."""


def broken_rules(settings: Settings) -> Iterator[Complaint]:
    """Every rule that the settings break."""
    yield from _store(settings)
    yield from _pools(settings.pools)
    for name, pool in settings.pools.items():
        yield from _pool(("pools", name), name, pool)
    for network in settings.webhooks.allowed_networks:
        yield from _network(("webhooks", "allowed_networks"), network)


def _store(settings: Settings) -> Iterator[Complaint]:
    scheme, separator, rest = settings.store.partition("://")
    if scheme == "sqlite":
        rest = rest.removeprefix("/") if rest.startswith("/") else ""
    if not separator or scheme not in STORES or not rest:
        yield ("store",), f"this names no store; it can be {' or '.join(STORES.values())}"


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
