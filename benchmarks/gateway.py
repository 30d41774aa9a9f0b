"""HTTP gateways side by side: POST a job, get 202, over keep-alive connections.

usage: python -m benchmarks.gateway [--subjects bare,litellm] [--connections 64,32] [--duration 5]
"""

import argparse
import http.client
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.gateways.catalogue import GATEWAYS, REFERENCES
from benchmarks.gateways.gateway_subject import GatewaySubject
from benchmarks.harness.environments import MAIN
from benchmarks.harness.errors import CannotRunError
from benchmarks.harness.load import Load
from benchmarks.harness.machine import describe_machine, fsync_ms, pin, usable_cores
from benchmarks.harness.options import add_common_options, chosen, fresh_folder, run_folder
from benchmarks.harness.outcomes import Metric, Outcome
from benchmarks.harness.processes import (
    accepts_connections,
    end_on_signals,
    free_port,
    run_to_end,
    running,
    wait_until_ready,
)
from benchmarks.harness.report import Report, choose_reference, publish, summarise
from benchmarks.harness.rounds import interleaved, measure_or_explain

HTTP_OK: Final = 200
LOAD_SLACK_S: Final = 30


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the server and the core of the load; None where we cannot pin."""

    server: int | None
    load: int | None


def choose_cores() -> Cores:
    """Take the first two cores we may use; with one core there is nothing to separate."""
    cores = usable_cores()
    if not hasattr(os, "sched_setaffinity") or len(cores) == 1:
        return Cores(None, None)
    return Cores(cores[0], cores[1])


@dataclass(frozen=True, slots=True)
class GatewayBench:
    """Measures one server at a time, started anew each time in an empty folder."""

    folder: Path
    cores: Cores
    connections: Sequence[int]
    warm_up_s: float
    duration_s: float
    key: str

    def measure(self, subject: GatewaySubject, round_number: int) -> Outcome:
        """Measure one server once at each number of connections."""
        if subject.cannot_run:
            raise CannotRunError(subject.cannot_run)
        generator = MAIN.python()
        values: dict[str, float] = {}
        with fresh_folder(self.folder) as folder:
            before_ms = fsync_ms(folder)
            with self._server(subject, folder) as port:
                for connections in self.connections:
                    load = self._load(subject, port, connections)
                    found = self._apply(generator, load, folder)
                    values |= {f"{key}_{connections}": found[key] for key in found}
        return Outcome(
            subject=subject.name,
            round=round_number,
            values=values,
            facts={"does": subject.does, "durability": subject.durability},
            fsync_ms=before_ms,
        )

    @contextmanager
    def _server(self, subject: GatewaySubject, folder: Path) -> Iterator[int]:
        port = free_port()
        places = {
            "python": str(subject.environment.python()),
            "port": str(port),
            "directory": str(folder),
            "key": self.key,
        }
        log = folder / "server.log"
        command = [part.format(**places) for part in subject.command]
        variables = {name: value.format(**places) for name, value in subject.variables}
        with running(command, log, variables=variables) as process:
            pin(process.pid, self.cores.server)
            wait_until_ready(process, lambda: _ready(subject, port), log, subject.ready_limit_s)
            yield port

    def _load(self, subject: GatewaySubject, port: int, connections: int) -> Load:
        request = subject.request
        return Load(
            port=port,
            path=request.path,
            headers=[header.format(key=self.key) for header in request.headers],
            body_before=request.body_before,
            body_after=request.body_after,
            accepted_status=request.accepted_status,
            connections=connections,
            warm_up_s=self.warm_up_s,
            duration_s=self.duration_s,
            core=self.cores.load,
        )

    def _apply(self, generator: Path, load: Load, folder: Path) -> dict[str, float]:
        load_path, outcome_path = folder / "load.json", folder / "outcome.json"
        load.write(load_path)
        run_to_end(
            [generator, "-m", "benchmarks.harness.http_load", load_path, outcome_path],
            folder / "load.log",
            limit_s=load.warm_up_s + load.duration_s + LOAD_SLACK_S,
        )
        found: dict[str, Any] = json.loads(outcome_path.read_text())
        if "reason" in found:
            message = f"{load.connections} connections: {found['reason']}"
            raise CannotRunError(message)
        return found["values"]


def _ready(subject: GatewaySubject, port: int) -> bool:
    if not subject.health_path:
        return accepts_connections(port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", subject.health_path)
        return connection.getresponse().status == HTTP_OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def metrics_for(connections: Sequence[int]) -> list[Metric]:
    """Return the columns: three for each number of connections."""
    return [
        metric
        for number in connections
        for metric in (
            Metric(f"requests_per_s_{number}", f"req/s at {number}", more_is_better=True),
            Metric(f"p50_ms_{number}", f"p50 ms at {number}", more_is_better=False),
            Metric(f"p99_ms_{number}", f"p99 ms at {number}", more_is_better=False),
        )
    ]


def main() -> None:
    """Run the comparison and print it."""
    options = _options()
    end_on_signals()
    cores = choose_cores()
    subjects = [subject for subject in GATEWAYS if subject.name in options.names]
    with run_folder(options.directory) as folder:
        machine = describe_machine(folder)
        bench = GatewayBench(
            folder=folder,
            cores=cores,
            connections=options.counts,
            warm_up_s=options.warm_up,
            duration_s=options.duration,
            key=f"sk-{secrets.token_urlsafe(24)}",
        )
        outcomes = [
            measure_or_explain(s.name, number, lambda s=s, n=number: bench.measure(s, n))
            for number, s in interleaved(subjects, options.rounds)
        ]
    reference = choose_reference(outcomes, options.reference, REFERENCES)
    report = Report(
        benchmark="gateways",
        machine=machine,
        settings=_settings(options, cores),
        reference=reference,
        lines=summarise(outcomes, options.names, reference),
        outcomes=outcomes,
    )
    publish(report, metrics_for(options.counts), as_json=options.json)


def _settings(options: argparse.Namespace, cores: Cores) -> Mapping[str, object]:
    return {
        "rounds": options.rounds,
        "seconds": options.duration,
        "warm-up seconds": options.warm_up,
        "server on core": "any" if cores.server is None else cores.server,
        "load on core": "any" if cores.load is None else cores.load,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.gateway", description=__doc__)
    names = [subject.name for subject in GATEWAYS]
    add_common_options(parser, names)
    parser.add_argument("--connections", default="64,32", help="comma-separated (default: 64,32)")
    parser.add_argument("--duration", type=float, default=5, help="seconds measured (default: 5)")
    parser.add_argument("--warm-up", type=float, default=1, help="seconds before (default: 1)")
    options = parser.parse_args()
    options.names = chosen(names, options.subjects, parser)
    options.counts = [int(count) for count in options.connections.split(",")]
    return options


if __name__ == "__main__":
    main()
