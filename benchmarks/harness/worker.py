"""The worker process of one measurement.

usage: python -m benchmarks.harness.worker ASSIGNMENT
"""

import sys
from pathlib import Path

from benchmarks.harness.assignment import Assignment
from benchmarks.harness.measurement import load_subject


def main() -> None:
    """Run jobs until the producer ends this process."""
    load_subject(Assignment.read(Path(sys.argv[1]))).work()


if __name__ == "__main__":
    main()
