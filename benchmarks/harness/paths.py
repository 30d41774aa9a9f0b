"""Where the benchmark finds its files and keeps its work."""

from pathlib import Path
from typing import Final

BENCHMARKS: Final = Path(__file__).resolve().parent.parent
PROJECT: Final = BENCHMARKS.parent
WORK: Final = BENCHMARKS / ".work"
