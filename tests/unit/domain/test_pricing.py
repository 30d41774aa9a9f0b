"""What tokens cost elsewhere."""

from headpond.domain.pricing import ApiPrice, batch_cost, cost

PRICE = ApiPrice(model="m", input=1.0, output=4.0, batch_share=0.5, source="s", seen="2030-01-01")


def test_prompt_and_answer_have_prices_of_their_own() -> None:
    assert cost(PRICE, prompt_tokens=2_000_000, completion_tokens=500_000) == 4.0


def test_a_batch_costs_its_share() -> None:
    assert batch_cost(PRICE, prompt_tokens=2_000_000, completion_tokens=500_000) == 2.0
