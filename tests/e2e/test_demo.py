"""The demo, with the real embedded engine, on a few titles."""

import json

import pytest

from tests.e2e.commands import headpond

pytestmark = pytest.mark.timeout(120)


async def test_the_demo_measures_what_it_does() -> None:
    pytest.importorskip("xllamacpp", reason="needs the extra llamacpp")
    done = await headpond("demo", "--titles", "60", "--json", HEADPOND_HOME="/proc/not-used")
    measured = json.loads(done.out)
    assert done.status == 0
    assert (measured["titles"], measured["succeeded"]) == (60, 60)
    assert measured["accuracy"]["share"] >= 0.95
    assert measured["jobs_per_s"] > 0
    assert measured["api_costs"][0]["batch_usd"] == measured["api_costs"][0]["usd"] / 2
