"""Calls of AWS's interfaces: where their errors become ours, and where their number is known.

Who we are is found by the SDK's default chain: environment, profile, web identity, container, role
of the instance. Time-outs and retries are set here and not inherited.
"""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cache
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import msgspec
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session  # pyright: ignore[reportUnknownVariableType]
from botocore import xform_name  # pyright: ignore[reportUnknownVariableType]
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
)

from headpond.errors import SettingsError, Unavailable

CONNECT_S = 3.0
MAX_CONNECTIONS = 64

Answer: TypeAlias = dict[str, Any]


class Place(msgspec.Struct, frozen=True):
    """Where a backend is: a region, a prefix of its names, and another server for tests."""

    region: str
    prefix: str
    endpoint: str | None = None


def place_of(url: str) -> Place:
    """The place that `SCHEME://REGION/PREFIX?endpoint=URL` names. Raises ValueError."""
    parts = urlsplit(url)
    prefix, query = parts.path.strip("/"), parse_qs(parts.query, strict_parsing=bool(parts.query))
    if not parts.netloc or not prefix or "/" in prefix or set(query) - {"endpoint"}:
        message = f"{url!r} is not of the form {parts.scheme}://REGION/PREFIX"
        raise ValueError(message)
    return Place(parts.netloc, prefix, query.get("endpoint", [None])[0])


class Refused(Exception):
    """AWS understood the call and refused it: what that means is for the adapter to say.

    `answer` is what came with the refusal.
    """

    def __init__(self, code: str, message: str, answer: Mapping[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.answer = answer


class Service:
    """One interface of AWS. `calls` counts what was called, for whoever wants to know the price."""

    def __init__(self, name: str, client: Any) -> None:
        self._name = name
        self._client = client
        self.calls: Counter[str] = Counter()

    async def call(self, operation: str, **parameters: object) -> Answer:
        """The answer to a call by its name in AWS's reference. Raises Refused and Unavailable."""
        self.calls[operation] += 1
        try:
            return await getattr(self._client, xform_name(operation))(**parameters)
        except ClientError as error:
            raise self._translated(operation, error) from error
        except (NoCredentialsError, ParamValidationError) as error:
            raise Refused(type(error).__name__, str(error), {}) from error
        except BotoCoreError as error:
            raise self._away(operation, str(error)) from error

    def _translated(self, operation: str, error: ClientError) -> Exception:
        answer: Any = error.response
        code, status = answer["Error"]["Code"], answer["ResponseMetadata"].get("HTTPStatusCode")
        if code in BUSY or status is None or status >= 500:  # noqa: PLR2004 - servers' faults
            return self._away(operation, str(error))
        return Refused(code, answer["Error"].get("Message", ""), answer)

    def _away(self, operation: str, why: str) -> Unavailable:
        return away(f"{self._name}_unavailable", f"{operation}: {why}")


def away(code: str, why: str) -> Unavailable:
    """No answer; the code tells which interface it is."""
    return Unavailable("AWS does not answer.", why=why, code=code)


def refusal(code: str, why: str) -> Unavailable:
    """An answer that is no, and may be another one once somebody has seen to it."""
    return Unavailable("AWS refuses.", why=why, code=code)


BUSY = frozenset(
    {
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "ThrottlingException",
        "TransactionInProgressException",
    }
)
"""What may be gone a moment later. The SDK has tried again by then."""


@cache
def _session() -> Any:
    """One for the process: it reads the descriptions of interfaces once."""
    return get_session()


@asynccontextmanager
async def connect(
    name: str, place: Place, *, read_s: float, attempts: int
) -> AsyncGenerator[Service]:
    """An interface; each of up to `attempts` tries of a call may take `read_s` seconds.

    Raises SettingsError, and Unavailable where who we are cannot be asked for now.
    """
    config = AioConfig(
        connect_timeout=CONNECT_S,
        read_timeout=read_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=MAX_CONNECTIONS,
    )
    created = _session().create_client(
        name, region_name=place.region, endpoint_url=place.endpoint, config=config
    )
    async with AsyncExitStack() as opened:
        try:
            client = await opened.enter_async_context(created)
        except CredentialRetrievalError as error:
            raise away(f"{name}_unavailable", str(error)) from error
        except (BotoCoreError, ValueError) as error:
            raise SettingsError(
                f"AWS's {name} cannot be used ({error}): correct the region or the endpoint in its "
                "URL, or what AWS_PROFILE and the other variables and files of AWS's SDK say."
            ) from error
        yield Service(name, client)
