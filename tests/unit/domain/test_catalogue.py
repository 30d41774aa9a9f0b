"""Which pool serves which model."""

from hypothesis import given
from hypothesis import strategies as st

from headpond.domain.catalogue import Catalogue, Route

MODELS = st.lists(st.sampled_from("abcdef"), max_size=3, unique=True)
POOLS = st.dictionaries(st.sampled_from(["p", "q", "r"]), MODELS, max_size=3)


def test_a_model_goes_to_the_first_pool_that_lists_it() -> None:
    catalogue = Catalogue({"any": [], "small": ["a"], "large": ["a", "b"]})

    assert catalogue.route("a") == Route("small", "a")
    assert catalogue.route("b") == Route("large", "b")


def test_a_pool_without_a_list_serves_the_rest() -> None:
    catalogue = Catalogue({"small": ["a"], "any": []})

    assert catalogue.route("c") == Route("any", "c")
    assert catalogue.route("") is None


def test_without_a_model_the_first_pools_default_is_meant() -> None:
    assert Catalogue({"small": ["a", "b"]}).route(None) == Route("small", "a")
    assert Catalogue({"any": [], "small": ["a"]}).route(None) is None
    assert Catalogue({}).route(None) is None


@given(POOLS, st.sampled_from("abcdefgh"))
def test_a_route_leads_to_a_pool_that_serves_the_model(
    pools: dict[str, list[str]], model: str
) -> None:
    route = Catalogue(pools).route(model)

    serving = [pool for pool, models in pools.items() if model in models or not models]
    if route is None:
        assert not serving
    else:
        assert route.pool in serving
        assert route.model == model


@given(POOLS)
def test_every_listed_model_can_be_reached(pools: dict[str, list[str]]) -> None:
    catalogue = Catalogue(pools)

    for listed in catalogue.models():
        route = catalogue.route(listed.model)
        assert route is not None
        assert route.model == listed.model
