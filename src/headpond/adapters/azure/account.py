"""Opening a container of an account of Cosmos DB: who we are, and whether it is what we need.

Who we are, `DefaultAzureCredential` finds: environment, workload or managed identity, Azure CLI;
unless the URL has a key. Time-outs and retries are set here and not inherited.

Every read is to show what was written last, whoever wrote it. `Strong` promises that. So does
`BoundedStaleness` in an account of one region: a write is with three replicas of four, and a read
asks two ("Consistency levels in Azure Cosmos DB", Microsoft Learn). `Session` promises it to one
client alone, and what is weaker to nobody; a client cannot ask for more than its account has.
"""

import contextlib
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.pipeline.policies import RetryMode
from azure.cosmos import PartitionKey, exceptions
from azure.cosmos.aio import CosmosClient
from azure.identity.aio import DefaultAzureCredential

from headpond.adapters.azure.container import away, first_line
from headpond.adapters.azure.documents import field_of
from headpond.adapters.documents.table import INDEXES
from headpond.errors import SettingsError

log = logging.getLogger(__name__)

CONNECT_S = 3.0
READ_S = 10.0
RETRIES = 3
BACKOFF_S = 0.1
THROTTLED_RETRIES = 9
THROTTLED_S = 10.0
"""The SDK waits as long as it is told, and no longer than this altogether."""

REFUSED = frozenset({None, 400, 401, 403, 404})
"""What no other try makes better. None is that of a credential which has found nobody."""

INDEXED = ("place", "open", *map(field_of, INDEXES))
POLICY: Mapping[str, Any] = {
    "indexingMode": "consistent",
    "includedPaths": [{"path": f"/{field}/?"} for field in INDEXED],
    "excludedPaths": [{"path": "/*"}],
}
PARTITIONED_BY = "/pk"
TTL_BY_DOCUMENT = -1
"""Documents expire that say so, and no others."""

_Client: Any = CosmosClient


class Place(msgspec.Struct, frozen=True):
    """An account's address, a database, a container, and a key if there is one."""

    endpoint: str
    database: str
    container: str
    key: str | None = None


def place_of(url: str) -> Place:
    """The place that `cosmos://ACCOUNT/DATABASE/CONTAINER?key=KEY&endpoint=URL` names.

    Raises ValueError.
    """
    parts = urlsplit(url)
    names = parts.path.strip("/").split("/")
    query = parse_qs(parts.query, strict_parsing=bool(parts.query))
    if not parts.netloc or len(names) != 2 or not all(names) or set(query) - {"key", "endpoint"}:  # noqa: PLR2004 - database and container
        message = f"it is not of the form {parts.scheme}://ACCOUNT/DATABASE/CONTAINER"
        raise ValueError(message)
    endpoint = query.get("endpoint", [f"https://{parts.netloc}.documents.azure.com:443/"])[0]
    # Keys are written in base64, whose plus sign means a space in a query.
    key = query["key"][0].replace(" ", "+") if "key" in query else None
    return Place(endpoint, names[0], names[1], key)


@asynccontextmanager
async def open_container(place: Place) -> AsyncGenerator[Any]:
    """The SDK's proxy of the container, made if need be. Raises SettingsError, Unavailable."""
    async with AsyncExitStack() as stack:
        credential = place.key or await stack.enter_async_context(DefaultAzureCredential())
        try:
            client = _Client(
                place.endpoint,
                credential,
                connection_timeout=CONNECT_S,
                read_timeout=READ_S,
                retry_total=RETRIES,
                retry_mode=RetryMode.Exponential,
                retry_backoff_factor=BACKOFF_S,
                retry_throttle_total=THROTTLED_RETRIES,
                retry_throttle_backoff_max=THROTTLED_S,
                no_response_on_write=True,
                enable_compact_utf8_item_writes=True,
            )
            # It leaves its session open where it cannot be entered.
            stack.push_async_exit(client)
            await client.__aenter__()
            _require_consistency(await client._get_database_account())  # noqa: SLF001 - the only way to it
            container, properties = await _container(client, place)
        except (ClientAuthenticationError, exceptions.CosmosHttpResponseError) as error:
            if error.status_code not in REFUSED:
                raise away(error) from error
            message = f"store: Cosmos DB does not let us in: {first_line(error)}"
            raise SettingsError(message) from error
        except (AzureError, ValueError) as error:
            raise away(error) from error
        _require_form(place, properties)
        yield container


async def _container(client: Any, place: Place) -> tuple[Any, Mapping[str, Any]]:
    container = client.get_database_client(place.database).get_container_client(place.container)
    try:
        return container, await container.read()
    except exceptions.CosmosResourceNotFoundError:
        # Another process may make either at the same time.
        with contextlib.suppress(exceptions.CosmosResourceExistsError):
            await client.create_database_if_not_exists(place.database)
        with contextlib.suppress(exceptions.CosmosResourceExistsError):
            await client.get_database_client(place.database).create_container_if_not_exists(
                place.container,
                PartitionKey(path=PARTITIONED_BY),
                indexing_policy=POLICY,
                default_ttl=TTL_BY_DOCUMENT,
            )
            log.warning("Cosmos DB had no container %s: it is made, and empty", place.container)
        return container, await container.read()


def _require_consistency(account: Any) -> None:
    policy: Mapping[str, str] = account.ConsistencyPolicy or {}
    level = policy.get("defaultConsistencyLevel")
    alone = len(account.ReadableLocations) == 1
    if level != "Strong" and not (level == "BoundedStaleness" and alone):
        raise SettingsError(
            f"store: the account's default consistency is {level}, which may show old records to "
            "who did not write them. Set it to Strong, or in an account of one region to "
            "BoundedStaleness: az cosmosdb update --default-consistency-level Strong"
        )


def _require_form(place: Place, properties: Mapping[str, Any]) -> None:
    partition_key, policy = properties["partitionKey"], properties["indexingPolicy"]
    partitioned_by, version = partition_key["paths"], partition_key.get("version", 1)
    ttl, mode = properties.get("defaultTtl"), policy["indexingMode"].lower()
    indexed = {path["path"] for path in policy["includedPaths"]}
    missing = [f"/{field}/?" for field in INDEXED if f"/{field}/?" not in indexed]
    faults = [
        *([] if partitioned_by == [PARTITIONED_BY] else [f"is partitioned by {partitioned_by}"]),
        *([] if version >= 2 else ["knows 101 bytes of a partition key (its version is 1)"]),  # noqa: PLR2004 - that of large keys
        *([] if ttl == TTL_BY_DOCUMENT else [f"has a TTL of {ttl}, not of {TTL_BY_DOCUMENT}"]),
        *([] if mode == POLICY["indexingMode"] else [f"has an index that is {mode}"]),
        *([] if not missing or "/*" in indexed else [f"does not index {', '.join(missing)}"]),
    ]
    if faults:
        raise SettingsError(
            f"store: the container {place.container!r} {' and '.join(faults)}; docs/backends.md "
            "says how to make one, or give the name of one that is not there yet."
        )
