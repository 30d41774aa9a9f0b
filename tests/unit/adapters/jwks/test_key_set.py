"""Key sets from files and URLs."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from headpond.adapters.jwks import key_set
from headpond.adapters.jwks.key_set import FileKeySet, UrlKeySet, key_set_at
from headpond.errors import SettingsError, Unavailable
from tests.servers import serving


async def answer(request: Request) -> Response:
    match request.path_params["kind"]:
        case "good":
            return PlainTextResponse('{"keys": []}')
        case "moved":
            return RedirectResponse("/good")
        case "large":
            return PlainTextResponse("x" * 2_000)
        case _:
            return PlainTextResponse("no", status_code=500)


@pytest.fixture
async def provider() -> AsyncGenerator[str]:
    async with serving(Starlette(routes=[Route("/{kind}", answer)])) as url:
        yield url


async def test_a_file_is_read_again_each_time(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text("1", encoding="utf-8")
    keys = key_set_at(str(path))
    assert isinstance(keys, FileKeySet)
    assert await keys.read() == b"1"

    path.write_text("2", encoding="utf-8")
    assert await keys.read() == b"2"


async def test_a_missing_file_is_told_apart_from_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        await FileKeySet(tmp_path / "none").read()


async def test_a_url_is_fetched(provider: str) -> None:
    keys = key_set_at(f"{provider}/good")
    assert isinstance(keys, UrlKeySet)

    assert await keys.read() == b'{"keys": []}'


@pytest.mark.parametrize("kind", ["moved", "broken", "large"])
async def test_anything_else_is_unavailable(
    provider: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set, "MAX_BYTES", 1_000)
    with pytest.raises(Unavailable):
        await UrlKeySet(f"{provider}/{kind}").read()


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await UrlKeySet("http://127.0.0.1:1/keys").read()


@pytest.mark.parametrize("url", ["http://idp.example/keys", "ftp://idp.example/keys"])
def test_keys_are_not_fetched_in_the_clear(url: str) -> None:
    with pytest.raises(SettingsError, match="https"):
        key_set_at(url)


def test_https_is_fine_anywhere() -> None:
    assert isinstance(key_set_at("https://idp.example/keys"), UrlKeySet)
