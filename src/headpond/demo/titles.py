"""The demo's input: product titles that the model never saw, with their true categories."""

import csv
from pathlib import Path

import msgspec

from headpond.demo.files import EXAMPLE_MODEL, SYSTEM_PROMPT

LONGEST_ANSWER_TOKENS = 12


class Title(msgspec.Struct, frozen=True):
    """A shop's title of a product, and what it is."""

    text: str
    category: str


def read_titles(file: Path, limit: int) -> list[Title]:
    """The first titles of the file."""
    with file.open(newline="") as lines:
        return [Title(row["title"], row["category"]) for row in csv.DictReader(lines)][:limit]


def job_for(title: Title) -> dict[str, object]:
    """The body of POST /jobs. Temperature 0 asks for the likeliest token at each step."""
    return {
        "model": EXAMPLE_MODEL,
        "messages": [
            {"role": "system", "content": SYSTEM_PROMPT},
            {"role": "user", "content": title.text},
        ],
        "temperature": 0,
        "max_tokens": LONGEST_ANSWER_TOKENS,
        "logprobs": True,
        "task_type": "categorise",
    }
