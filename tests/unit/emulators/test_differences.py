"""What no test can show against an emulator is told, once for each thing, by a skip."""

from pathlib import Path

import pytest

from tests import emulators
from tests.emulators.differences import DIFFERENCES, Difference

FOLDER = Path(emulators.__path__[0])


def test_every_emulator_says_where_it_differs() -> None:
    modules = {path.stem for path in FOLDER.glob("*.py")}
    assert {name for name in modules if name.endswith("_server")} <= DIFFERENCES.keys() <= modules


@pytest.mark.parametrize(
    ("emulator", "difference"),
    [
        pytest.param(emulator, difference, id=f"{emulator}: {difference.what}")
        for emulator, differences in DIFFERENCES.items()
        for difference in differences
    ],
)
def test_what_an_emulator_does_otherwise_is_untested(emulator: str, difference: Difference) -> None:
    pytest.skip(f"{emulator}, {difference}")
