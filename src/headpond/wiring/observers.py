"""Who hears what happens in a process: the log, and metrics."""

import contextlib
import errno
from collections.abc import Generator
from dataclasses import dataclass

from prometheus_client import start_http_server

from headpond.adapters.logs.events import LogListener
from headpond.adapters.logs.setup import configure
from headpond.adapters.prometheus.events import PrometheusListener
from headpond.errors import SettingsError
from headpond.ports.events import Listener
from headpond.services.broadcast import Broadcast
from headpond.settings import ScalerSettings, Settings, WorkerSettings


@dataclass(frozen=True, slots=True)
class Observers:
    """Who hears the facts of this process: the log, and metrics."""

    listener: Listener
    metrics: PrometheusListener


def observers() -> Observers:
    """New ones, for one process."""
    metrics = PrometheusListener()
    return Observers(Broadcast((metrics, LogListener())), metrics)


def start_logging(settings: Settings) -> None:
    """Send this process's logs where the settings say."""
    configure(settings.log)


@contextlib.contextmanager
def metrics_page(
    settings: WorkerSettings | ScalerSettings, metrics: PrometheusListener
) -> Generator[None]:
    """Serve a process's metrics, if the settings name a port. Raises SettingsError."""
    host, port = settings.metrics_host, settings.metrics_port
    if port is None:
        yield
        return
    try:
        server, thread = start_http_server(port, host, metrics.registry)
    except OSError as error:
        section = "worker" if isinstance(settings, WorkerSettings) else "scaler"
        raise _refused(section, host, port, error) from error
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _refused(section: str, host: str, port: int, error: OSError) -> SettingsError:
    if error.errno == errno.EADDRINUSE:
        return SettingsError(
            f"{section}.metrics_port: port {port} of {host} is in use already. Choose another one; "
            "each process on a machine needs its own."
        )
    return SettingsError(f"{section}.metrics_host: cannot listen on {host}:{port}: {error}.")
