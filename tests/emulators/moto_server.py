"""AWS on this machine: moto's server in a thread, on a clock that tests can move.

moto is a Python model of AWS's interfaces, spoken to over HTTP with the official SDK. Where it
differs from what AWS documents stands in `differences.py`; `tests/unit/adapters/aws/test_moto.py`
shows some of that. Its threads do one thing at a time to an item by what is here: `Atomic`,
`PatientQueue`, `in_turn`. Ranges that end before they begin, which it would answer, `ranged`
refuses.
"""

import asyncio
import json
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from moto.backends import get_backend
from moto.core.authorization import enable_iam_authentication
from moto.dynamodb import responses as dynamodb
from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.parsing import key_condition_expression
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sqs import models as sqs
from typing_extensions import override
from werkzeug.serving import BaseWSGIServer, make_server

from headpond.adapters.aws import calls
from headpond.adapters.aws.calls import Place, connect
from headpond.testing.clocks import ManualClock

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class Atomic:
    """DynamoDB and S3 do one thing at a time to an item; moto's threads need to be told.

    So no transaction meets another, which DynamoDB would refuse.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if "DynamoDB" in environ.get("HTTP_X_AMZ_TARGET", "") or "HTTP_IF_NONE_MATCH" in environ:
            with self._lock:
                return self._app(environ, start_response)
        return self._app(environ, start_response)


class Pending(set[Any]):
    """Leased messages. Two receipts at one moment may both find that a lease has lapsed."""

    @override
    def remove(self, element: Any) -> None:
        # moto looks first and removes then, and answers 500 to whoever is second.
        self.discard(element)


class PatientQueue(sqs.Queue):
    """A queue of moto's whose threads do not fail each other."""

    def __init__(self, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._pending_messages = Pending()


_receive: Any = sqs.SQSBackend.receive_message
_receiving = threading.Lock()


def in_turn(backend: Any, name: str, count: int, wait_s: int, *rest: Any) -> Any:
    """Receive. moto looks whether a message is free, and takes it some lines later."""
    until = time.monotonic() + wait_s
    while True:
        with _receiving:
            received = _receive(backend, name, count, 0, *rest)
        if received or time.monotonic() >= until:
            return received
        backend.get_queue(name).wait_for_messages(1)


_conditions: Any = key_condition_expression.parse_expression


def ranged(*given: Any, **options: Any) -> Any:
    """The conditions of a query. DynamoDB refuses a range that ends before it begins."""
    found = _conditions(*given, **options)
    for _, comparison, values in found[1]:
        if comparison.upper() == "BETWEEN":
            low, high = (value["S"] for value in values)
            if low.encode() > high.encode():
                raise MockValidationException(
                    "Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to "
                    "be greater than or equal to lower bound; lower bound operand: AttributeValue: "
                    f"{{S:{low}}}, upper bound operand: AttributeValue: {{S:{high}}}"
                )
    return found


# Names that moto looks up itself.
setattr(sqs, "Queue", PatientQueue)  # noqa: B010
setattr(sqs.SQSBackend, "receive_message", in_turn)  # noqa: B010
setattr(dynamodb, "parse_expression", ranged)  # noqa: B010


@dataclass(frozen=True, slots=True)
class Moto:
    """A server that runs."""

    url: str

    def forget_tables(self) -> None:
        """Begin anew: a transaction takes the longer, the more moto has."""
        get_backend("dynamodb").reset()

    @contextmanager
    def on_clock(self, clock: ManualClock) -> Generator[None]:
        """SQS's time goes on by itself and with every advance of `clock`; never back."""
        began = clock.now()
        ahead_s = 0.0

        def unix_time_millis() -> float:
            nonlocal ahead_s
            ahead_s = max(ahead_s, clock.now() - began)
            return (time.time() + ahead_s) * 1000

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sqs, "unix_time_millis", unix_time_millis)
            yield

    @asynccontextmanager
    async def allowing(self, place: Place, *actions: str) -> AsyncGenerator[None]:
        """Make this process a user that may do these things alone. Nobody else may do any.

        Who has connected before is still who it was.
        """
        policy = {"Effect": "Allow", "Action": actions, "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [policy]})
        user = {"UserName": place.prefix}
        async with connect("iam", place, read_s=10, attempts=1) as iam:
            await iam.call("CreateUser", **user)
            await iam.call("PutUserPolicy", **user, PolicyName="all", PolicyDocument=document)
            key = (await iam.call("CreateAccessKey", **user))["AccessKey"]
        with pytest.MonkeyPatch.context() as patch, enable_iam_authentication():
            patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
            patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
            calls._session.cache_clear()
            try:
                yield
            finally:
                calls._session.cache_clear()


@contextmanager
def credentials() -> Generator[None]:
    """Who this process is, and those that it starts, as far as AWS asks."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield


@contextmanager
def moto_server() -> Generator[Moto]:
    """A server on a free port."""
    with credentials():
        server = _server()
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Moto(f"http://127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@asynccontextmanager
async def moto_process() -> AsyncGenerator[Moto]:
    """A server in a process of its own, on the time of the machine."""
    with credentials():
        process = await asyncio.create_subprocess_exec(
            # Not `-m`: moto asks each class of its own for the package that it stands in.
            *(sys.executable, "-c", "from tests.emulators import moto_server; moto_server.serve()"),
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            assert process.stdout is not None
            url = (await process.stdout.readline()).decode().strip()
            assert url, "moto ended before it served; it said why"
            yield Moto(url)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


def serve() -> None:
    """Serve, and say where, until the process is killed."""
    served = _server()
    sys.stdout.write(f"http://127.0.0.1:{served.server_port}\n")
    sys.stdout.flush()
    served.serve_forever()


def _server() -> BaseWSGIServer:
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    app = Atomic(DomainDispatcherApplication(create_backend_app))
    return make_server("127.0.0.1", 0, app, threaded=True)
