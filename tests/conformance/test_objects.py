"""Object stores keep the contract: memory, a folder, S3, Azure Blob and Google Cloud Storage.

S3 is moto, Azure Microsoft's own emulator, Google's a server of ours. What the library does is the
same for all: conditional writes are the store's own (`If-None-Match`, generations).
"""

import json
import re
import uuid
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

import aiohttp
import pytest
from typing_extensions import override

from headpond.adapters.memory.objects import MemoryObjects
from headpond.adapters.obstore.objects import open_objects
from headpond.domain.archive import ObjectName
from headpond.errors import SettingsError, Unavailable
from headpond.ports.objects import ObjectStore
from headpond.testing.objects_suite import ObjectsSuite
from tests.emulators import azurite
from tests.emulators.gcs_server import BUCKET, Gcs
from tests.emulators.moto_server import moto_server
from tests.emulators.serving import served

REGION = "eu-central-1"


class TestMemoryObjects(ObjectsSuite):
    @pytest.fixture
    @override
    async def objects(self) -> ObjectStore:
        return MemoryObjects()


class TestFolder(ObjectsSuite):
    @pytest.fixture
    @override
    async def objects(self, tmp_path: Path) -> ObjectStore:
        return open_objects(f"file://{tmp_path}/a%20folder", {})


class TestS3(ObjectsSuite):
    @pytest.fixture
    @override
    async def objects(self) -> AsyncGenerator[ObjectStore]:
        with moto_server() as moto:
            async with aiohttp.ClientSession() as session:
                await session.put(f"{moto.url}/pond")
            options = {"aws_endpoint": moto.url, "aws_region": REGION}
            yield open_objects(f"s3://pond/{uuid.uuid4().hex}", options)


@pytest.mark.timeout(300)
class TestAzureBlob(ObjectsSuite):
    @pytest.fixture
    @override
    async def objects(self) -> AsyncGenerator[ObjectStore]:
        azurite.find_azurite()
        async with azurite.azurite() as url:
            await azurite.make_container(url, "pond")
            options = {
                "azure_storage_account_name": azurite.ACCOUNT,
                "azure_storage_account_key": azurite.KEY,
                "azure_endpoint": f"{url}/{azurite.ACCOUNT}",
            }
            yield open_objects("az://pond/archive", options)


def to_gcs(url: str) -> Mapping[str, str]:
    account = {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": ""}
    return {"google_service_account_key": json.dumps({**account, "private_key_id": ""})}


class TestGoogleCloudStorage(ObjectsSuite):
    @pytest.fixture
    @override
    async def objects(self) -> AsyncGenerator[ObjectStore]:
        async with served(Gcs().app()) as url:
            yield open_objects(f"gs://{BUCKET}/archive", to_gcs(url))


async def test_a_store_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headpond.adapters.obstore.objects.RETRIES", {"max_retries": 0})
    gcs, name = Gcs(), ObjectName("x")
    gcs.away = True
    async with served(gcs.app()) as url:
        objects = open_objects(f"gs://{BUCKET}", to_gcs(url))
        for asked in (
            objects.put(name, b""),
            objects.put_new(name, b""),
            objects.get(name),
            objects.delete(name),
            anext(aiter(objects.names(""))),
        ):
            with pytest.raises(Unavailable, match=r"The archive's object store: "):
                await asked


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("ftp://x/y", {}, "'ftp://x/y' cannot be used"),
        ("file:///proc/x/y", {}, "'file:///proc/x/y' cannot be used"),
        ("s3://pond", {"no_such_option": "x"}, "'s3://pond' cannot be used"),
    ],
)
def test_what_is_no_store_is_told(url: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        open_objects(url, options)
