"""What is in flight is told of once it is not, however early it is cut off."""

import asyncio

import pytest

from headpond.domain.facts import ClaimLost
from headpond.domain.lane import lanes_of
from headpond.domain.outcome import Outcome
from headpond.ports.delivery import Claim
from headpond.services.worker.in_flight import InFlight
from headpond.services.worker.relay import Relay
from tests.unit.services.pond import Pond, ScriptedEngine


async def _never() -> Outcome:
    return await asyncio.get_running_loop().create_future()


class Flight:
    """One request that is about to go to an engine."""

    def __init__(self) -> None:
        self.pond = Pond()
        self.engine = ScriptedEngine(script=_never)
        self.ends: list[Outcome | None] = []
        clock, listener = self.pond.clock, self.pond.ear
        relay = Relay(self.engine, self.pond.streams, clock=clock, listener=listener)
        self.in_flight = InFlight(
            relay, self._ended, engine="scripted", clock=clock, listener=listener
        )

    async def begin(self) -> Claim:
        await self.pond.submit()
        (claim,) = await self.pond.delivery.claim(lanes_of("default"), worker="worker", limit=1)
        self.in_flight.start(claim)
        return claim

    async def _ended(self, _: Claim, outcome: Outcome | None) -> None:
        self.ends.append(outcome)


@pytest.fixture
def flight() -> Flight:
    return Flight()


async def test_a_claim_that_falls_before_its_request_has_begun_takes_no_place(
    flight: Flight,
) -> None:
    claim = await flight.begin()
    assert flight.in_flight.abort(claim)
    await flight.in_flight.finish_until(asyncio.get_running_loop().time() + 5)
    assert (len(flight.in_flight), flight.ends) == (0, [None])
    assert flight.pond.ear.heard(ClaimLost) == [ClaimLost(claim.job.id)]


async def test_a_request_that_has_not_begun_can_be_cut_off(flight: Flight) -> None:
    await flight.begin()
    await flight.in_flight.cut_off()
    assert (len(flight.in_flight), flight.ends) == (0, [None])
