"""One listener made of many."""

import pytest
from typing_extensions import override

from headpond.domain.facts import Fact, RequestRefused
from headpond.ports.events import Listener
from headpond.services.broadcast import Broadcast
from tests.stages import Recorder

FACT = RequestRefused("code", 400)


class Broken(Listener):
    @override
    def hear(self, fact: Fact) -> None:
        raise RuntimeError("deaf")


def test_every_listener_hears_every_fact() -> None:
    first, second = Recorder(), Recorder()
    Broadcast([first, second]).hear(FACT)

    assert first.facts == second.facts == [FACT]


def test_a_broken_listener_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    after = Recorder()
    Broadcast([Broken(), after]).hear(FACT)

    assert after.facts == [FACT]
    assert "RequestRefused" in caplog.text


def test_nobody_need_listen() -> None:
    Broadcast().hear(FACT)
