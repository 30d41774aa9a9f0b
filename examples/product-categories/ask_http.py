"""Ask an engine behind an OpenAI-compatible URL, many titles at a time."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import aiohttp

from answers import Answer
from catalogue import MODEL_NAME, chat_messages

LONGEST_ANSWER_TOKENS = 12
END_OF_TURN = frozenset({"", "<|im_end|>"})


async def ask_all(base_url: str, titles: Sequence[str], clients: int) -> list[Answer]:
    """Answer every title, in order, over `clients` connections that are each kept busy.

    `base_url` is the server's address without `/v1`.
    """
    answers: list[Answer | None] = [None] * len(titles)
    remaining = iter(enumerate(titles))
    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(base_url, connector=connector) as session:

        async def keep_asking() -> None:
            for index, title in remaining:
                answers[index] = await ask(session, title)

        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(keep_asking())
    return [answer for answer in answers if answer is not None]


async def ask(session: aiohttp.ClientSession, title: str) -> Answer:
    """Send one chat completion; temperature 0 asks for the likeliest token at each step."""
    request = {
        "model": MODEL_NAME,
        "messages": chat_messages(title),
        "temperature": 0,
        "max_tokens": LONGEST_ANSWER_TOKENS,
        "logprobs": True,
        # With 0 llama.cpp leaves the log-probabilities out, with none named it sends 20 a token.
        "top_logprobs": 1,
    }
    async with session.post("/v1/chat/completions", json=request) as response:
        response.raise_for_status()
        return read_answer(await response.json())


def read_answer(completion: dict[str, Any]) -> Answer:
    """Take the text and its probability out of a chat completion."""
    choice = completion["choices"][0]
    log_probabilities = [
        token["logprob"]
        for token in choice["logprobs"]["content"]
        if token["token"] not in END_OF_TURN
    ]
    return Answer(choice["message"]["content"], math.exp(sum(log_probabilities)))
