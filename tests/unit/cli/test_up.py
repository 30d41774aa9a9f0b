"""What `headpond up` prints to be pasted."""

import ast

from headpond.cli.up import welcome


def test_without_keys_the_snippets_need_none() -> None:
    told = welcome("http://127.0.0.1:8080", "m", keyed=False)
    assert "HEADPOND_API_KEY" not in told
    assert ast.parse(python_of(told))


def test_where_keys_are_needed_the_snippets_take_one_from_the_environment() -> None:
    told = welcome("http://127.0.0.1:8080", "m", keyed=True)
    assert '-H "Authorization: Bearer $HEADPOND_API_KEY"' in told
    assert 'api_key=os.environ["HEADPOND_API_KEY"]' in told
    assert python_of(told).startswith("import os\n")
    assert ast.parse(python_of(told))


def python_of(told: str) -> str:
    """The snippet for Python."""
    return told.split("(pip install openai):\n\n")[1]
