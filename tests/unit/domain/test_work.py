"""How much work a request is."""

from hypothesis import given
from hypothesis import strategies as st

from headpond.domain.work import DEFAULT_ANSWER_TOKENS, estimated_tokens


def test_prompt_and_answer_both_count() -> None:
    assert estimated_tokens(400, 50) == 150
    assert estimated_tokens(0, None) == DEFAULT_ANSWER_TOKENS


@given(st.integers(0, 10**7), st.none() | st.integers(0, 10**6))
def test_no_request_is_free(prompt_chars: int, max_tokens: int | None) -> None:
    assert estimated_tokens(prompt_chars, max_tokens) >= 1
