"""Tickets of messages that are sent again."""

import secrets
from collections.abc import Callable

from headpond.domain.identity import time_ordered_id
from headpond.domain.job import Ticket
from headpond.ports.clock import Clock


def tickets(clock: Clock) -> Callable[[], Ticket]:
    """A source of tickets that nobody has had before."""
    return lambda: Ticket(time_ordered_id(clock.now(), secrets.randbits(74)))
