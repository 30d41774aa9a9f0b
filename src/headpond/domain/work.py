"""How much work a request is, before anybody counted."""

import msgspec

CHARS_PER_TOKEN = 4.0
"""A common rule of thumb for English and byte-pair vocabularies. The engine's own count replaces
the estimate once the job has run."""

DEFAULT_ANSWER_TOKENS = 256


class Work(msgspec.Struct, frozen=True):
    """Tokens that a request will cost, estimated; at least one."""

    prompt_tokens: int
    answer_tokens: int

    @property
    def tokens(self) -> int:
        """Both together."""
        return self.prompt_tokens + self.answer_tokens


def estimated_work(prompt_chars: int, max_tokens: int | None) -> Work:
    """The work of a prompt of so many characters, with the client's limit of its answer."""
    answer = DEFAULT_ANSWER_TOKENS if max_tokens is None else max_tokens
    prompt = round(prompt_chars / CHARS_PER_TOKEN)
    return Work(prompt if prompt + answer else 1, answer)
