"""Object stores keep the contract: memory, a folder, S3, Azure Blob and Google Cloud Storage.

S3 is moto, Azure Microsoft's own emulator, Google's a server of ours. What the library does is the
same for all: conditional writes are the store's own (`If-None-Match`, generations).
"""

import json
import math
import re
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from obstore import exceptions
from typing_extensions import override

from headpond.adapters.memory.audit import MemoryAudit
from headpond.adapters.memory.jobs import MemoryJobStore
from headpond.adapters.memory.objects import MemoryObjects
from headpond.adapters.obstore.blobs import ObjectBlobs
from headpond.adapters.obstore.objects import Objects
from headpond.adapters.obstore.opening import open_at, refuse_unusable
from headpond.adapters.rows.jsonl import JsonLines
from headpond.adapters.rows.parquet import Parquet
from headpond.domain.archive import DAY_S, ObjectName
from headpond.errors import SettingsError, Unavailable
from headpond.ports.blobs import Blobs
from headpond.ports.objects import ObjectStore
from headpond.services.archive_check import check_day
from headpond.services.archivist import Archivist
from headpond.testing.blobs_suite import NAME, BlobsSuite, content
from headpond.testing.clocks import ManualClock
from headpond.testing.objects_suite import ObjectsSuite
from headpond.testing.records import a_job, new_job
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


def to_gcs(url: str) -> Mapping[str, str]:
    account = {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": ""}
    return {"google_service_account_key": json.dumps({**account, "private_key_id": ""})}


@asynccontextmanager
async def on_s3() -> AsyncGenerator[tuple[str, Mapping[str, str]]]:
    with moto_server() as moto:
        async with aiohttp.ClientSession() as session:
            await session.put(f"{moto.url}/pond")
        options = {"aws_endpoint": moto.url, "aws_region": REGION}
        yield f"s3://pond/{uuid.uuid4().hex}", options


@asynccontextmanager
async def on_azure() -> AsyncGenerator[tuple[str, Mapping[str, str]]]:
    azurite.find_azurite()
    async with azurite.azurite() as url:
        await azurite.make_container(url, "pond")
        options = {
            "azure_storage_account_name": azurite.ACCOUNT,
            "azure_storage_account_key": azurite.KEY,
            "azure_endpoint": f"{url}/{azurite.ACCOUNT}",
        }
        yield "az://pond/archive", options


@asynccontextmanager
async def on_gcs() -> AsyncGenerator[tuple[str, Mapping[str, str]]]:
    async with served(Gcs().app()) as url:
        yield f"gs://{BUCKET}/archive", to_gcs(url)


SERVICES = {"s3": on_s3, "azure": on_azure, "gcs": on_gcs}


@pytest.fixture(params=["folder", *SERVICES])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[object]:
    """The library's store on one service after the other."""
    if request.param == "folder":
        yield open_at("archive.url", f"file://{tmp_path}/a%20folder", {})
        return
    async with SERVICES[request.param]() as (url, options):
        yield open_at("archive.url", url, options)


@pytest.mark.timeout(300)
class TestObjects(ObjectsSuite):
    @pytest.fixture
    @override
    async def objects(self, store: object) -> ObjectStore:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Objects(store)


@pytest.mark.timeout(300)
class TestObjectBlobs(BlobsSuite):
    @pytest.fixture
    @override
    async def blobs(self, store: object) -> Blobs:  # pyright: ignore[reportIncompatibleMethodOverride]
        return ObjectBlobs(store)


@pytest.mark.parametrize("letter", ["a", "\u968a"])
async def test_the_longest_names_are_archived_and_hold_up_nobody(
    store: object, letter: str
) -> None:
    clock, objects, formats = ManualClock(), Objects(store), (JsonLines(), Parquet())
    jobs = MemoryJobStore(clock)
    audit = MemoryAudit(jobs)
    named = [{"team": letter * 256, "model": letter * 256}, {}]
    for job in [a_job(**names).cancelled(clock.now()) for names in named]:
        await jobs.add(new_job(job))
    day = clock.now() // DAY_S * DAY_S
    clock.advance(2 * DAY_S)
    archivist = Archivist(
        audit,
        jobs,
        objects,
        formats,
        redact=None,
        span_s=300,
        settle_s=120.0,
        keep_s=None,
        clock=clock,
    )
    assert await archivist.tick() == 1
    until = await archivist.until()
    checked = await check_day(day, until=until, audit=audit, objects=objects, formats=formats)
    assert (checked.ends, checked.rows, checked.missing, checked.doubled) == (2, 2, (), ())


async def test_a_blob_of_many_parts_is_whole(store: object) -> None:
    blobs, piece = ObjectBlobs(store), bytes(range(256)) * 4_096
    async with blobs.create(NAME) as blob:
        for _ in range(12):
            await blob.write(piece)
    assert await content(blobs) == piece * 12
    assert await content(blobs, offset=11 * len(piece)) == piece


async def test_what_is_no_blob_is_left_alone(store: object) -> None:
    objects, blobs = Objects(store), ObjectBlobs(store)
    async with blobs.create(NAME) as blob:
        await blob.write(b"x")
    for name in ("cursor.json", "file-1", f"data/team=a/{NAME}", f"{NAME}.jsonl.gz"):
        await objects.put(ObjectName(name), b"x")
    assert await blobs.written_before(math.inf) == [NAME]


async def test_a_store_that_is_away_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headpond.adapters.obstore.opening.RETRIES", {"max_retries": 0})
    gcs, name = Gcs(), ObjectName("x")
    gcs.away = True
    async with served(gcs.app()) as url:
        store = open_at("archive.url", f"gs://{BUCKET}", to_gcs(url))
        objects, blobs = Objects(store), ObjectBlobs(store)

        async def write() -> None:
            async with blobs.create(NAME) as blob:
                for _ in range(100):
                    await blob.write(b"x" * 1_000_000)

        for asked in (
            objects.put(name, b""),
            objects.put_new(name, b""),
            objects.get(name),
            objects.delete(name),
            anext(aiter(objects.names(""))),
        ):
            with pytest.raises(Unavailable, match="The object store does not answer: ") as raised:
                await asked
            assert raised.value.code == "archive_unavailable"
        for asked in (
            write(),
            content(blobs),
            content(blobs, offset=1),
            blobs.delete(NAME),
            blobs.written_before(1.0),
        ):
            with pytest.raises(Unavailable, match="The object store does not answer: ") as raised:
                await asked
            assert raised.value.code == "files_unavailable"


@pytest.mark.parametrize(
    ("url", "options", "words"),
    [
        ("ftp://x/y", {}, "'ftp://x/y' cannot be used"),
        ("file:///proc/x/y", {}, "'file:///proc/x/y' cannot be used"),
        ("s3://pond", {"timeout": "soon"}, '"soon" as Duration.'),
        (
            "s3://pond",
            {"aws_endpint": "x"},
            "archive.options: there is no option 'aws_endpint' of S3; did you mean 'aws_endpoint'?",
        ),
        (
            "az://pond",
            {"azure_acount_name": "x"},
            "'azure_acount_name' of MicrosoftAzure; did you mean 'azure_storage_account_name'?",
        ),
        ("gs://pond", {"credential_provider": "x"}, "no option 'credential_provider' of GCS."),
    ],
)
def test_what_is_no_store_is_told(url: str, options: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(words)):
        open_at("archive.url", url, options)


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("s3://pond", {"aws_allow_http": "true", "timeout": "9 s"}),
        ("gs://pond", {"google_allow_http": "true", **to_gcs("http://127.0.0.1:9")}),
        ("az://pond", {"azure_allow_http": "true", "azure_storage_account_name": "a"}),
    ],
)
def test_options_about_http_are_taken(url: str, options: dict[str, str]) -> None:
    store: Any = open_at("archive.url", url, options)
    assert store.client_options["allow_http"] == "true"


def test_a_panic_of_the_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headpond.adapters.obstore.options.HTTP", frozenset[str]())
    with pytest.raises(SettingsError, match="with one of these options: aws_allow_http"):
        open_at("archive.url", "s3://pond", {"aws_allow_http": "true"})


@pytest.mark.timeout(300)
@pytest.mark.parametrize("service", SERVICES)
async def test_a_bucket_that_is_not_there_is_told(service: str) -> None:
    async with SERVICES[service]() as (url, options):
        store = open_at("archive.url", url, options)
        await refuse_unusable("archive.url", url, store)
        nowhere = re.sub("//[^/]*", "//nowhere", url)
        store = open_at("archive.url", nowhere, options)
        kind = "container" if service == "azure" else "bucket"
        words = f"archive.url: {kind} 'nowhere' does not exist; make it, or name another one."
        with pytest.raises(SettingsError) as told:
            await refuse_unusable("archive.url", nowhere, store)
        assert str(told.value) == words
        objects, blobs, name = Objects(store), ObjectBlobs(store), ObjectName("x")

        async def write() -> None:
            async with blobs.create(NAME) as blob:
                await blob.write(b"x")

        # Of what is deleted in a container that is not there, Azure says that it is gone.
        for asked in (
            objects.put(name, b""),
            objects.put_new(name, b""),
            objects.get(name),
            anext(aiter(objects.names(""))),
            write(),
            content(blobs),
            blobs.written_before(1.0),
        ):
            with pytest.raises(Unavailable, match=r"answer: the bucket does not exist; .*\.$"):
                await asked


async def test_a_store_that_is_away_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headpond.adapters.obstore.opening.ASKED_WITHIN_S", 0.2)
    gcs = Gcs()
    gcs.away = True
    async with served(gcs.app()) as url:
        store = open_at("archive.url", f"gs://{BUCKET}", to_gcs(url))
        await refuse_unusable("archive.url", f"gs://{BUCKET}", store)


async def test_credentials_that_are_wanted_or_wrong_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuse(told: str) -> str | None:
        async def get(*_: object) -> None:
            raise exceptions.GenericError(told)

        monkeypatch.setattr("obstore.get_async", get)
        try:
            await refuse_unusable("archive.url", "s3://pond/x", object())
        except SettingsError as error:
            return str(error)

    asking = "Error performing PUT http://169.254.169.254/latest/api/token in 1 ms - "
    nobody = await refuse(asking + "HTTP error: error sending request")
    assert nobody is not None
    assert nobody.startswith("archive.url: bucket 'pond' needs credentials, and there are none: ")
    assert await refuse(asking + "Server returned non-2xx status code: 503 x") is None
    wrong = await refuse("403 Forbidden: <Error><Code>InvalidAccessKeyId</Code></Error>")
    assert wrong == (
        "archive.url: bucket 'pond' is closed to these credentials (InvalidAccessKeyId)."
    )
    assert await refuse("403 Forbidden: <Error><Code>AccessDenied</Code></Error>") is None
