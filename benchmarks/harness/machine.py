"""What a result depends on besides the code: processor, load, and how long the disk takes."""

import os
import platform
import sqlite3
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

FSYNC_WRITES = 60
PAGE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine as it was when the run began."""

    date: str
    processor: str
    cores: int
    system: str
    python: str
    sqlite: str
    load_average: float
    fsync_ms: float


def describe_machine(directory: Path) -> Machine:
    """Describe this machine; `directory` lies on the disk whose fsync is timed."""
    return Machine(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        processor=_processor(),
        cores=len(usable_cores()),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        load_average=round(os.getloadavg()[0], 2),
        fsync_ms=fsync_ms(directory),
    )


def fsync_ms(directory: Path) -> float:
    """Return the median time of one fsync after appending a page, in milliseconds."""
    path = directory / "fsync.probe"
    times_s: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(FSYNC_WRITES):
            file.write(b"\0" * PAGE_BYTES)
            begun_s = time.perf_counter()
            os.fsync(file.fileno())
            times_s.append(time.perf_counter() - begun_s)
    path.unlink()
    return round(statistics.median(times_s) * 1000, 3)


def usable_cores() -> list[int]:
    """Return the numbers of the cores this process may use, in order."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(process_id: int, core: int | None) -> None:
    """Keep a process on one core, None for no matter which; threads begun later inherit it."""
    if core is not None:
        os.sched_setaffinity(process_id, {core})


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
