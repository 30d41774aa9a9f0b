"""What `headpond up` prints to be pasted."""

import ast

import pytest

from headpond.cli.up import _announce, welcome
from headpond.settings import EngineSettings, PoolSettings, Settings


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


def test_without_models_nothing_is_shown_that_cannot_work(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pool = PoolSettings(engine=EngineSettings(url="http://127.0.0.1:9"))
    _announce("http://x:1", Settings(pools={"default": pool}), keyed=False, as_json=False)
    shown = capsys.readouterr().out
    assert "no engine answers" in shown
    assert "curl" not in shown
