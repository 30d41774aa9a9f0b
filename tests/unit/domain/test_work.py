"""How much work a request is."""

from hypothesis import given
from hypothesis import strategies as st

from headpond.domain.work import DEFAULT_ANSWER_TOKENS, estimated_work


def test_prompt_and_answer_both_count() -> None:
    assert estimated_work(400, 50).tokens == 150
    assert estimated_work(0, None).tokens == DEFAULT_ANSWER_TOKENS


@given(st.integers(0, 10**7), st.none() | st.integers(0, 10**6))
def test_no_request_is_free(prompt_chars: int, max_tokens: int | None) -> None:
    assert estimated_work(prompt_chars, max_tokens).tokens >= 1
