"""The whole pipeline: gateway, queue, worker, engine and back, with an engine that costs nothing.

usage: python -m benchmarks.pipeline [--subjects …] [--rounds 5] [--jobs 3000]

The subjects are numbers of workers. The engine is `headpond.testing.engine_server` in a process of
its own: what is measured is Headpond's share of a request's time.
"""

import argparse
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.gateways.gateway_subject import PROMPT
from benchmarks.harness.environments import HEADPOND
from benchmarks.harness.errors import CannotRunError
from benchmarks.harness.machine import describe_machine, fsync_ms
from benchmarks.harness.options import add_common_options, chosen, fresh_folder, run_folder
from benchmarks.harness.outcomes import Metric, Outcome
from benchmarks.harness.percentiles import percentile
from benchmarks.harness.processes import (
    accepts_connections,
    end_on_signals,
    free_port,
    running,
    wait_until_ready,
)
from benchmarks.harness.report import Report, choose_reference, publish, summarise
from benchmarks.harness.rounds import interleaved, measure_or_explain

SUBJECTS: Final = {"one-worker": 1, "two-workers": 2}
CLIENTS: Final = 32
ACCEPTED: Final = 202
OK: Final = 200
READY_LIMIT_S: Final = 60
PATIENCE_S: Final = 120

METRICS: Final = (
    Metric("job_p50_ms", "submit to result p50 ms", more_is_better=False),
    Metric("job_p99_ms", "p99 ms", more_is_better=False),
    Metric("chat_p50_ms", "chat p50 ms", more_is_better=False),
    Metric("chat_p99_ms", "p99 ms", more_is_better=False),
    Metric("jobs_per_s", f"jobs/s, {CLIENTS} clients", more_is_better=True),
)


class Client:
    """One keep-alive connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
        """Send a request and return the answer's JSON; raise CannotRunError unless it is fine."""
        payload = None if body is None else json.dumps(body)
        self._connection.request(method, path, payload, {"content-type": "application/json"})
        response = self._connection.getresponse()
        answer = response.read()
        if response.status not in (OK, ACCEPTED):
            raise CannotRunError(f"{method} {path}: {response.status} {answer[:200]!r}")
        return json.loads(answer)

    def submit(self, number: int) -> str:
        """Submit a job and return its id."""
        body = {"prompt": f"{number:010d} {PROMPT}", "max_tokens": 8, "priority": "interactive"}
        return self.call("POST", "/jobs", body)["job_id"]

    def run_job(self, number: int) -> None:
        """Submit a job and wait for its result."""
        job = self.call("GET", f"/jobs/{self.submit(number)}?wait=60")
        if job["status"] != "succeeded":
            raise CannotRunError(f"a job ended as {job['status']}")

    def chat(self, number: int) -> None:
        """Ask through the OpenAI surface."""
        messages = [{"role": "user", "content": f"{number:010d} {PROMPT}"}]
        body = {"model": "fake", "messages": messages, "max_tokens": 8}
        self.call("POST", "/v1/chat/completions", body)


@dataclass(frozen=True, slots=True)
class PipelineBench:
    """Measures one number of workers at a time, on an empty folder."""

    folder: Path
    jobs: int
    pickups: int

    def measure(self, name: str, round_number: int) -> Outcome:
        """Latency alone, then throughput under load."""
        with fresh_folder(self.folder) as folder:
            before_ms = fsync_ms(folder)
            with self._headpond(folder, SUBJECTS[name]) as port, Client(port) as client:
                jobs_ms = timed_ms(client.run_job, self.pickups)
                chats_ms = timed_ms(client.chat, self.pickups)
                rate = self._rate(port)
        values = {
            "job_p50_ms": percentile(jobs_ms, 0.5),
            "job_p99_ms": percentile(jobs_ms, 0.99),
            "chat_p50_ms": percentile(chats_ms, 0.5),
            "chat_p99_ms": percentile(chats_ms, 0.99),
            "jobs_per_s": rate,
        }
        facts = {"durability": "SQLite, synchronous=FULL", "engine": "answers at once"}
        return Outcome(name, round_number, values=values, facts=facts, fsync_ms=before_ms)

    def _rate(self, port: int) -> float:
        """Jobs per second from the first submit to the last result."""
        share = self.jobs // CLIENTS

        def submit(_: int) -> list[str]:
            with Client(port) as client:
                return [client.submit(number) for number in range(share)]

        begun_s = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            ids = [job_id for ids in pool.map(submit, range(CLIENTS)) for job_id in ids]
        with Client(port) as client:
            for job_id in ids:
                client.call("GET", f"/jobs/{job_id}?wait=60")
        return len(ids) / (time.perf_counter() - begun_s)

    @contextmanager
    def _headpond(self, folder: Path, workers: int) -> Iterator[int]:
        python, engine_port, port = HEADPOND.python(), free_port(), free_port()
        engine = [python, "-m", "headpond.testing.engine_server", "--port", str(engine_port)]
        up = [python, "-m", "headpond", "up", "--home", folder / "home", "--port", str(port)]
        up += ["--engine", f"http://127.0.0.1:{engine_port}", "--workers", str(workers)]
        with running(engine, folder / "engine.log") as process:
            wait_until_ready(
                process, lambda: accepts_connections(engine_port), folder / "engine.log", 30
            )
            with running(up, folder / "up.log") as system:
                wait_until_ready(system, lambda: answers(port), folder / "up.log", READY_LIMIT_S)
                yield port


def answers(port: int) -> bool:
    """Say whether a job goes through from end to end."""
    if not accepts_connections(port):
        return False
    with Client(port) as client:
        client.run_job(0)
    return True


def timed_ms(action: Any, times: int) -> list[float]:
    """Do it one after the other; how long each took."""
    spans_ms: list[float] = []
    for number in range(times):
        begun_s = time.perf_counter()
        action(number)
        spans_ms.append((time.perf_counter() - begun_s) * 1000)
    return spans_ms


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(prog="benchmarks.pipeline", description=__doc__)
    add_common_options(parser, list(SUBJECTS))
    parser.add_argument("--jobs", type=int, default=3000, help="for the rate (default: 3000)")
    parser.add_argument("--pickups", type=int, default=300, help="for latencies (default: 300)")
    options = parser.parse_args()
    end_on_signals()
    names = chosen(list(SUBJECTS), options.subjects, parser)
    with run_folder(options.directory) as folder:
        machine = describe_machine(folder)
        bench = PipelineBench(folder, options.jobs, options.pickups)
        outcomes = [
            measure_or_explain(name, number, lambda s=name, n=number: bench.measure(s, n))
            for number, name in interleaved(names, options.rounds)
        ]
    reference = choose_reference(outcomes, options.reference, names)
    settings = {"rounds": options.rounds, "jobs": options.jobs, "pick-ups": options.pickups}
    lines = summarise(outcomes, names, reference)
    report = Report("pipeline", machine, settings, reference, lines, outcomes)
    publish(report, METRICS, as_json=options.json)


if __name__ == "__main__":
    main()
