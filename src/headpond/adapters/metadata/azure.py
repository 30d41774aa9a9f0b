"""Azure's scheduled events: this machine will be evicted, stopped or started anew."""

from email.utils import parsedate_to_datetime

import msgspec
from typing_extensions import override

from headpond.adapters.metadata.service import ADDRESS, ask
from headpond.errors import Unavailable
from headpond.ports.clock import Clock
from headpond.ports.notices import Notice, Notices

VERSION = "2020-07-01"
METADATA = {"Metadata": "true"}
AT_ONCE_S = 30.0
"""What is left where no time stands: that much notice an eviction gives at least."""

ENDS = frozenset({"Preempt", "Terminate", "Redeploy", "Reboot"})
"""Events after which nothing of this process is left. `Freeze` pauses it for seconds."""


class _Event(msgspec.Struct, rename="pascal"):
    event_type: str
    resources: list[str]
    not_before: str = ""


class _Document(msgspec.Struct, rename="pascal"):
    events: list[_Event]


_decode = msgspec.json.Decoder(_Document).decode


class ScheduledEvents(Notices):
    """Events name machines, and go to all of a group; `address` is another server for tests."""

    def __init__(self, clock: Clock, address: str = ADDRESS) -> None:
        self._clock = clock
        self._address = address.rstrip("/")

    @override
    async def look(self) -> Notice | None:
        said = await self._ask("scheduledevents", VERSION)
        try:
            events = _decode(said).events
        except msgspec.MsgspecError as error:
            message = f"Azure's metadata service said {said[:200]!r}."
            raise Unavailable(message, code="metadata_unavailable") from error
        ending = [event for event in events if event.event_type in ENDS]
        if not ending:
            return None
        name = (await self._ask("instance/compute/name", "2021-02-01", "&format=text")).decode()
        for event in ending:
            if name in event.resources:
                why = f"Azure scheduled the event {event.event_type} for this machine"
                return Notice(why, self._left_s(event))
        return None

    async def _ask(self, what: str, version: str, more: str = "") -> bytes:
        url = f"{self._address}/metadata/{what}?api-version={version}{more}"
        return await ask(url, headers=METADATA) or b""

    def _left_s(self, event: _Event) -> float:
        if not event.not_before:
            return AT_ONCE_S
        try:
            return parsedate_to_datetime(event.not_before).timestamp() - self._clock.now()
        except ValueError:
            return AT_ONCE_S
