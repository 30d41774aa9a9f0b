"""Bugs to plant in what PostgreSQL and Redis are told to do, like those of `planted_bugs.py`."""

import hashlib
from collections.abc import Callable

import pytest

from headpond.adapters.postgres import connection
from headpond.adapters.redis import queue
from headpond.adapters.redis.script import Script
from tests.planted_bugs import Plant, both, statement


def in_script(name: str, old: str, new: str) -> Plant:
    """`old` in the script `name` of the queue, or in the part before it, becomes `new`."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        inner: Callable[..., Script] = queue.script
        assert old in inner("lane", name).text

        def changed(*names: str) -> Script:
            found = inner(*names)
            # What the server may know under the old digest is another script.
            text = found.text.replace(old, new) if name in names else found.text
            return found if text == found.text else Script(text, _digest(text))

        patch.setattr(queue, "script", changed)

    return plant


def _digest(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def in_statement(name: str, old: str, new: str) -> Plant:
    """`old` in the statement `name` becomes `new`."""
    return statement(connection, name, old, new)


POSTGRES_QUEUE_BUGS: dict[str, Plant] = {
    "ack ignores the token": in_statement("ack", "AND messages.token = given.token", ""),
    "ack ignores the lapse": in_statement("ack", "AND messages.visible_at > $1", "AND $1 > 0"),
    "extend ignores the token": in_statement("extend", "AND messages.token = given.token", ""),
    "extend ignores the lapse": in_statement("extend", "AND messages.visible_at > $1", ""),
    "extend does nothing": in_statement(
        "extend", "$1::double precision + $2::double precision", "visible_at + 0 * $2"
    ),
    "a delayed message is handed out": in_statement("send", "CASE WHEN $2 > 0 THEN '' END", "NULL"),
}


POSTGRES_DELIVERY_BUGS: dict[str, Plant] = {
    "settle is not fenced": in_statement("settle", "jobs.version = given.version - 1", "true"),
    "a settled message stays": in_statement(
        "settle", "moved.finished_at IS NOT NULL\n        AND", "false AND"
    ),
    "a swap is not fenced": in_statement("swap_jobs", "jobs.version = given.version - 1", "true"),
    "the response is not kept": both(
        in_statement("settle", "WHERE response IS NOT NULL", "WHERE false"),
        in_statement("swap_jobs", "WHERE response IS NOT NULL", "WHERE false"),
    ),
    "a claim that fell is renewed": in_statement(
        "renew", "AND jobs.version = extended.version", ""
    ),
}


REDIS_BUGS: dict[str, Plant] = {
    "ack ignores the token": in_script("ack", "~= nonce", "== false"),
    "ack ignores the lapse": in_script("ack", "> now and number", "> 0 and number"),
    "extend ignores the lapse": in_script("extend", "> now and number", "> 0 and number"),
    "extend does nothing": in_script("extend", "redis.call('ZADD', hidden, ARGV[2], number)", ""),
    "what was given back is charged": in_script("give_back", "\n    refund(message)", ""),
    "weights are ignored": in_script("receive", "/ message.weight", "/ 1"),
    "a team that comes back has forgotten its tag": in_script(
        "receive", "redis.call('ZSCORE', idle, member)", "nil"
    ),
    "what lapsed is counted as leased": in_script("receive", "count(message, 1)", ""),
    "a delayed message is handed out": in_script("send", "ARGV[1])\n  end", "'')\n  end"),
}
