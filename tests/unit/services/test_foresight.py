"""A machine that is about to go is known in time."""

import asyncio

from typing_extensions import override

from headpond.errors import Unavailable
from headpond.ports.notices import Notice, Notices
from headpond.services.foresight import EVERY_S, until_notice
from headpond.testing.virtual_time import run_virtually


class Told(Notices):
    """Says one thing after the other."""

    def __init__(self, *words: Notice | Exception | None) -> None:
        self._words = list(words)

    @override
    async def look(self) -> Notice | None:
        word = self._words.pop(0)
        if isinstance(word, Exception):
            raise word
        return word


def test_it_is_looked_for_every_few_seconds_whoever_answers() -> None:  # SPEC W4
    notice = Notice("it goes", 30.0)

    async def experiment() -> None:
        away = Unavailable("away", code="metadata_unavailable")
        assert await until_notice(Told(None, away, notice)) is notice
        assert asyncio.get_running_loop().time() == 2 * EVERY_S

    run_virtually(experiment())
