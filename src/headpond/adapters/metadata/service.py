"""One request to a metadata service, at an address that only the machine itself sees."""

from collections.abc import Mapping

import aiohttp

from headpond.errors import Unavailable

ADDRESS = "http://169.254.169.254"
TIMEOUT = aiohttp.ClientTimeout(total=3.0)


async def ask(
    url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
) -> bytes | None:
    """What is there, None where nothing is (404). Raises Unavailable.

    No proxy is asked: the address is the machine's own.
    """
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT, trust_env=False) as session,
            session.request(method, url, headers=headers) as answer,
        ):
            if answer.status == 404:  # noqa: PLR2004
                return None
            answer.raise_for_status()
            return await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        message = f"The metadata service at {url} does not answer: {error!r}."
        raise Unavailable(message, code="metadata_unavailable") from error
