"""The command-line options that all benchmarks share."""

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.paths import WORK


def add_common_options(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Add the choice of subjects, rounds, folder, reference and output."""
    parser.add_argument(
        "--subjects",
        default=",".join(names),
        help="comma-separated names or prefixes of names (default: all)",
    )
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds (default: 5)")
    parser.add_argument("--reference", default="", help="the subject that ratios refer to")
    parser.add_argument(
        "--directory", type=Path, default=WORK, help="a folder on the disk under test"
    )
    parser.add_argument(
        "--json", action="store_true", help="JSON on standard output, table on error"
    )


def chosen(names: Sequence[str], wanted: str, parser: argparse.ArgumentParser) -> list[str]:
    """Return the names that start with one of the wanted ones, in the catalogue's order."""
    prefixes = [prefix.strip() for prefix in wanted.split(",") if prefix.strip()]
    for prefix in prefixes:
        if not any(name.startswith(prefix) for name in names):
            parser.error(f"no subject is called {prefix}; there are {', '.join(names)}")
    return [name for name in names if any(name.startswith(prefix) for prefix in prefixes)]


@contextmanager
def run_folder(directory: Path) -> Iterator[Path]:
    """Make a folder for this run and remove it afterwards."""
    directory.mkdir(parents=True, exist_ok=True)
    with fresh_folder(directory.resolve()) as folder:
        yield folder


@contextmanager
def fresh_folder(parent: Path) -> Iterator[Path]:
    """Make an empty folder under `parent` and remove it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    # mkdtemp closes the folder to other users; a PostgreSQL that is not root must pass through.
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
