"""Transactions of a Firestore that goes silent in the middle, over gRPC and with the SDK."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import grpc.aio
import pytest
from google.cloud.firestore_v1 import types as firestore
from typing_extensions import override

from headpond.adapters.documents.table import Check, Key, Put
from headpond.adapters.gcp import table as module
from headpond.adapters.gcp.places import Place
from headpond.adapters.gcp.table import FirestoreTable, open_table
from headpond.errors import Unavailable

CALL_S = 0.5
NEW = Put({"pk": "new", "sk": "1"}, absent=True)
ABSENT = Key("absent", "1")

_types: Any = firestore
_grpc: Any = grpc


class SilentFirestore(grpc.GenericRpcHandler):
    """A database without documents, which answers all but the calls in `silent`."""

    def __init__(self) -> None:
        self.silent: set[str] = set()
        self.calls: list[str] = []

    @override
    def service(self, handler_call_details: Any) -> Any:
        name = str(handler_call_details.method).rpartition("/")[2]
        self.calls.append(name)
        if name == "BatchGetDocuments":
            return _grpc.unary_stream_rpc_method_handler(self._documents)

        async def answer(request: bytes, context: object) -> bytes:
            del request, context
            return await self._answer(name)

        return _grpc.unary_unary_rpc_method_handler(answer)

    async def _answer(self, name: str) -> bytes:
        if name in self.silent:
            await asyncio.Event().wait()
        match name:
            case "BeginTransaction":
                answer = _types.BeginTransactionResponse(transaction=b"one")
                return _types.BeginTransactionResponse.serialize(answer)
            case "Commit":
                return _types.CommitResponse.serialize(_types.CommitResponse())
            case _:
                return b""

    async def _documents(self, request: bytes, context: object) -> AsyncIterator[bytes]:
        del context
        for name in _types.BatchGetDocumentsRequest.deserialize(request).documents:
            answer = _types.BatchGetDocumentsResponse(missing=name, read_time={"seconds": 1})
            yield _types.BatchGetDocumentsResponse.serialize(answer)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", autouse=True)
async def one_loop() -> None:  # pyright: ignore[reportUnusedFunction]
    """For all tests: gRPC's thread calls back into loops that are closed by then."""


@pytest.fixture
def server() -> SilentFirestore:
    return SilentFirestore()


@pytest.fixture
async def table(
    server: SilentFirestore, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FirestoreTable]:
    running: Any = grpc.aio.server(handlers=[server])
    port = running.add_insecure_port("127.0.0.1:0")
    await running.start()
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{port}")
    try:
        async with open_table(Place("test-project", "silent")) as table:
            server.calls.clear()
            yield table
    finally:
        await running.stop(None)


async def test_a_transaction_is_begun_read_and_committed(
    table: FirestoreTable, server: SilentFirestore
) -> None:
    assert await table.write(NEW, Check(ABSENT, {})) == frozenset()
    assert server.calls == ["BeginTransaction", "BatchGetDocuments", "Commit"]


async def test_a_transaction_whose_conditions_fail_is_rolled_back(
    table: FirestoreTable, server: SilentFirestore
) -> None:
    assert await table.write(NEW, Check(ABSENT, {"version": 1})) == {1}
    assert server.calls == ["BeginTransaction", "BatchGetDocuments", "Rollback"]


@pytest.mark.parametrize(
    ("silent", "last"),
    [
        ({"BeginTransaction"}, "BeginTransaction"),
        ({"Commit"}, "Rollback"),
        ({"Commit", "Rollback"}, "Rollback"),
    ],
)
async def test_a_transaction_that_is_not_answered_is_unavailable_soon(
    table: FirestoreTable,
    server: SilentFirestore,
    monkeypatch: pytest.MonkeyPatch,
    silent: set[str],
    last: str,
) -> None:
    monkeypatch.setattr(module, "CALL_S", CALL_S)
    server.silent = silent
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"not answered within 0\.5 s") as raised:
        await table.write(NEW, Check(ABSENT, {}))
    assert raised.value.code == "firestore_unavailable"
    assert time.monotonic() - began < 30  # the SDK itself waits for a minute, and then once more
    assert server.calls[-1] == last


async def test_a_rollback_that_is_not_answered_hides_nothing(
    table: FirestoreTable, server: SilentFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CALL_S", CALL_S)
    server.silent = {"Rollback"}
    assert await table.write(NEW, Check(ABSENT, {"version": 1})) == {1}
