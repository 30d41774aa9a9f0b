"""Our emulator of Cosmos DB answers as another one does.

The store's suites run in `test_documents.py`. The other emulator, an npm package, knows neither
atomic batches nor their etags, and nothing of what is not there, so it shows the rest.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient

from headpond.adapters.azure import queries
from headpond.adapters.azure.account import PARTITIONED_BY, POLICY
from headpond.adapters.azure.container import Container, Refused, create
from headpond.adapters.azure.documents import AFTER, Document, Json, read, written
from headpond.adapters.documents.table import Key
from headpond.testing.clocks import ManualClock
from tests.emulators.cosmos_server import KEY, Cosmos, cosmos_server
from tests.emulators.npm_cosmos import npm_cosmos


@pytest.fixture(params=["ours", "npm"])
async def container(request: pytest.FixtureRequest) -> AsyncIterator[Container]:
    """A new one, of one emulator after the other."""
    if request.param == "ours":
        async with cosmos_server(Cosmos()) as cosmos, made(cosmos.url) as container:
            yield container
    else:
        async with npm_cosmos() as url, made(url) as container:
            yield container


def document(pk: str, sk: str = "1", **more: str) -> Json:
    return written(Document(Key(pk, sk), {"pk": pk, "sk": sk, **more}))


async def test_both_find_what_was_written(container: Container) -> None:
    (etag,) = await container.write("a", [create(document("a", body="x"))])
    found = await container.read("a", "1")
    assert found is not None
    assert found["_etag"] == etag
    assert read(found).item == {"pk": "a", "sk": "1", "body": "x"}


async def test_both_refuse_what_is_there_and_say_so_of_the_rest(container: Container) -> None:
    await container.write("a", [create(document("a"))])
    with pytest.raises(Refused, match=r"(?s)409.*index 0"):
        await container.write("a", [create(document("a")), create(document("a", "2"))])
    assert [row["id"] async for row in container.ask(queries.WITH_ID, {"@id": "2"})] == []


@pytest.mark.parametrize("reverse", [False, True])
async def test_both_find_a_range_in_its_order(reverse: bool, container: Container) -> None:
    for number in range(6):
        await container.write(
            f"p{number}", [create(document(f"p{number}", agenda="k", at=f"{number}"))]
        )
    query = queries.in_index("agenda", low=">", reverse=reverse)
    low, high = f"k{AFTER}1", f"k{AFTER}5"
    rows = [row async for row in container.ask(query, {"@low": low, "@high": high}, at_once=2)]
    fields = [row["by_agenda"] for row in rows]
    assert fields == sorted([f"k{AFTER}{number}" for number in (2, 3, 4)], reverse=reverse)
    assert {*rows[0]} == {"place", "by_agenda"}


async def test_both_find_documents_by_their_places(container: Container) -> None:
    for name in "abc":
        await container.write(name, [create(document(name))])
    parameters = {"@p0": f"a{AFTER}1", "@p1": f"c{AFTER}1", "@p2": f"d{AFTER}1"}
    rows = [row async for row in container.ask(queries.at_places(parameters), parameters)]
    assert sorted(row["pk"] for row in rows) == ["a", "c"]
    rows = [row async for row in container.ask(queries.WITH_ID, {"@id": "1"})]
    assert sorted(row["pk"] for row in rows) == ["a", "b", "c"]


@asynccontextmanager
async def made(url: str) -> AsyncGenerator[Container]:
    """A container, whatever the account says of its consistency."""
    client: Any = CosmosClient(url, KEY, enable_endpoint_discovery=False)
    async with client:
        database = await client.create_database("tests")
        options = {"indexing_policy": POLICY, "default_ttl": -1}
        path = PartitionKey(path=PARTITIONED_BY)
        yield Container(await database.create_container("pond", path, **options), ManualClock())
