"""The pages of metrics."""

import socket

import pytest

from headpond.errors import SettingsError
from headpond.settings import ScalerSettings, WorkerSettings
from headpond.wiring.observers import metrics_page, observers


@pytest.mark.parametrize("settings", [WorkerSettings, ScalerSettings])
def test_a_port_that_is_taken_is_told_by_its_setting(
    settings: type[WorkerSettings | ScalerSettings],
) -> None:
    section = settings.__name__.removesuffix("Settings").lower()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(SettingsError) as told,
            metrics_page(settings(metrics_port=port), observers().metrics),
        ):
            pass
    assert str(told.value) == (
        f"{section}.metrics_port: port {port} of 127.0.0.1 is in use already. Choose another one; "
        "each process on a machine needs its own."
    )


def test_an_address_of_another_machine_is_told_by_its_setting() -> None:
    settings = WorkerSettings(metrics_port=9, metrics_host="192.0.2.1")
    with (
        pytest.raises(SettingsError, match=r"^worker\.metrics_host: cannot listen on 192"),
        metrics_page(settings, observers().metrics),
    ):
        pass
