"""Foresight: a machine that is about to go is known in time."""

import asyncio
import contextlib

from headpond.errors import Unavailable
from headpond.ports.notices import Notice, Notices

EVERY_S = 5.0
"""As AWS recommends; the shortest notices, of Azure and Google Cloud, come 30 s before the end."""


async def until_notice(notices: Notices) -> Notice:
    """Returns when there is one. A metadata service that does not answer says nothing."""
    while True:
        with contextlib.suppress(Unavailable):
            notice = await notices.look()
            if notice is not None:
                return notice
        await asyncio.sleep(EVERY_S)
