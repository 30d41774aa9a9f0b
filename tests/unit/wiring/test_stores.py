"""What the settings put elsewhere is found there."""

from pathlib import Path

import pytest

from headpond.domain.file import is_blob_name
from headpond.errors import SettingsError
from headpond.settings import BatchSettings, PoolSettings, Settings
from headpond.testing.blobs_suite import CONTENT, NAME, content
from headpond.wiring.gateways import _search, results_name
from headpond.wiring.stores import open_store
from tests.unit.services.pond import Ear


async def test_files_may_lie_in_an_object_store(tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    batches = BatchSettings(files=f"file://{bucket}")
    async with open_store(Settings(home=str(tmp_path / "home"), batches=batches)) as store:
        async with store.blobs.create(NAME) as blob:
            await blob.write(CONTENT)
        assert await content(store.blobs) == (bucket / NAME).read_bytes() == CONTENT


def test_the_names_of_results_are_known_as_those_of_blobs() -> None:
    assert is_blob_name(results_name())


async def test_a_wrong_place_for_files_is_told_by_its_setting(tmp_path: Path) -> None:
    settings = Settings(home=str(tmp_path), batches=BatchSettings(files="ftp://x"))
    with pytest.raises(SettingsError, match=r"batches\.files: 'ftp://x' cannot be used"):
        async with open_store(settings):
            pass


async def test_a_queue_that_cannot_be_asked_is_mended_by_the_time(tmp_path: Path) -> None:
    sqs = "sqs://eu-central-1/pond?endpoint=http://127.0.0.1:9"
    async with open_store(Settings(home=str(tmp_path), queue=sqs)) as store:
        assert (store.lookup, store.unseen_s) == (None, 7 * 86_400.0)
        duties = _search(Settings(), store, store.delivery(PoolSettings()), Ear())
        assert [duty._name for duty in duties] == ["unseen messages", "undelivered messages"]
    async with open_store(Settings(home=str(tmp_path))) as store:
        assert _search(Settings(), store, store.delivery(PoolSettings()), Ear()) == ()
