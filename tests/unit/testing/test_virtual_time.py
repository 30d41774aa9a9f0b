"""Virtual time moves whenever somebody waits for it."""

import asyncio

from headpond.testing.virtual_time import run_virtually


def test_a_moment_that_is_nearer_than_the_clock_can_tell_comes() -> None:
    async def wait_for(moment: float) -> int:
        loop = asyncio.get_running_loop()
        looks = 0
        while (left_s := moment - loop.time()) > 0:
            await asyncio.sleep(left_s)
            looks += 1
        return looks

    assert run_virtually(wait_for(1e-10)) == 1
