"""How much work a request is, before anybody counted."""

CHARS_PER_TOKEN = 4.0
"""A common rule of thumb for English and byte-pair vocabularies. The engine's own count replaces
the estimate once the job has run."""

DEFAULT_ANSWER_TOKENS = 256


def estimated_tokens(prompt_chars: int, max_tokens: int | None) -> int:
    """Prompt and answer tokens of a request, at least 1."""
    answer = DEFAULT_ANSWER_TOKENS if max_tokens is None else max_tokens
    return max(1, round(prompt_chars / CHARS_PER_TOKEN) + answer)
