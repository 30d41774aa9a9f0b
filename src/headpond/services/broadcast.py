"""One listener made of many: a broken one breaks nothing."""

import logging
from collections.abc import Sequence

from typing_extensions import override

from headpond.domain.facts import Fact
from headpond.ports.events import Listener

log = logging.getLogger(__name__)


class Broadcast(Listener):
    """Passes every fact on to each listener."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._listeners = tuple(listeners)

    @override
    def hear(self, fact: Fact) -> None:
        for listener in self._listeners:
            try:
                listener.hear(fact)
            except Exception:
                log.exception("listener %s failed on %s", listener, type(fact).__name__)
