"""What every roster must do. Subclass `RosterSuite` and give it a `roster` fixture."""

import pytest

from headpond.domain.calibration import Calibration
from headpond.domain.pace import Regime, WorkerReport
from headpond.ports.roster import Roster

NOW = 1_000_000.0


def a_report(worker: str, *, pool: str = "default", at: float = NOW) -> WorkerReport:
    """A report with something in every field."""
    return WorkerReport(
        worker=worker,
        pool=pool,
        at=at,
        started_at=NOW - 100,
        healthy=True,
        in_flight=3,
        capacity=16,
        token_s=0.25,
        cold_start_s=30.0,
        calibrations={Regime.WAIT: Calibration((1.0, 1.5), 0.5, 0.91)},
    )


class RosterSuite:
    """The contract of `headpond.ports.roster`."""

    @pytest.fixture
    async def roster(self) -> Roster:
        raise NotImplementedError("give the suite a roster")

    async def test_an_empty_pool_has_no_reports(self, roster: Roster) -> None:
        assert await roster.reports("default") == []

    async def test_a_report_comes_back_as_it_was_written(self, roster: Roster) -> None:
        await roster.report(a_report("w"))
        assert await roster.reports("default") == [a_report("w")]

    async def test_a_new_report_takes_the_place_of_the_last(self, roster: Roster) -> None:
        await roster.report(a_report("w"))
        await roster.report(a_report("w", pool="other", at=NOW + 1))
        assert await roster.reports("default") == []
        assert await roster.reports("other") == [a_report("w", pool="other", at=NOW + 1)]

    async def test_the_newest_come_first_and_pools_do_not_mix(self, roster: Roster) -> None:
        for worker, at in (("a", NOW), ("b", NOW + 2), ("c", NOW + 1)):
            await roster.report(a_report(worker, at=at))
        await roster.report(a_report("d", pool="other"))
        reports = await roster.reports("default")
        assert [report.worker for report in reports] == ["b", "c", "a"]

    async def test_old_reports_are_forgotten_but_for_the_newest_of_a_pool(
        self, roster: Roster
    ) -> None:
        for number in range(4):
            await roster.report(a_report(f"w{number}", at=NOW + number))
        await roster.report(a_report("alone", pool="other", at=NOW - 999))
        assert await roster.forget(NOW + 2, keep=1) == 2
        assert [r.worker for r in await roster.reports("default")] == ["w3", "w2"]
        assert len(await roster.reports("other")) == 1
