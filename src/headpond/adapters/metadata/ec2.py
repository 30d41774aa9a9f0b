"""EC2's notice that a spot instance is to be interrupted, two minutes before, by IMDSv2."""

from datetime import datetime

import msgspec
from typing_extensions import override

from headpond.adapters.metadata.service import ADDRESS, ask
from headpond.errors import Unavailable
from headpond.ports.clock import Clock
from headpond.ports.notices import Notice, Notices

TOKEN_S = 21_600


class _Action(msgspec.Struct):
    action: str
    time: datetime


_decode = msgspec.json.Decoder(_Action).decode


class SpotNotices(Notices):
    """`address` is another server for tests."""

    def __init__(self, clock: Clock, address: str = ADDRESS) -> None:
        self._clock = clock
        self._address = address.rstrip("/")

    @override
    async def look(self) -> Notice | None:
        token = await ask(
            f"{self._address}/latest/api/token",
            method="PUT",
            headers={"X-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_S)},
        )
        said = await ask(
            f"{self._address}/latest/meta-data/spot/instance-action",
            headers={"X-aws-ec2-metadata-token": (token or b"").decode()},
        )
        if said is None:
            return None
        try:
            action = _decode(said)
        except msgspec.MsgspecError as error:
            message = f"EC2's metadata service said {said[:200]!r}."
            raise Unavailable(message, code="metadata_unavailable") from error
        left_s = action.time.timestamp() - self._clock.now()
        return Notice(f"EC2 will {action.action} this spot instance", left_s)
