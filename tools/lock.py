"""Writes the exact versions of what users and tests install into pyproject.toml.

    uv run python tools/lock.py

uv.lock holds the same and more, but is full of download addresses and stays out of git. The group
`train` is left out: it is large, and only the example's own script needs it.
"""

import subprocess
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"
BEGIN = "# Written by tools/lock.py from here on: versions that were tested together.\n"

GROUPS = 'default-groups = ["demo", "test"]\n'


def main() -> None:
    """Resolve anew and replace the end of pyproject.toml."""
    own = PROJECT.read_text().partition(BEGIN)[0].rstrip()
    PROJECT.write_text(f"{own}\n\n[tool.uv]\n{GROUPS}")
    uv("lock", "--upgrade")
    PROJECT.write_text(f"{own}\n\n{BEGIN}{constraints()}")
    uv("lock")


def constraints() -> str:
    """The versions of uv.lock as a table of pyproject.toml."""
    exported = uv(
        *("export", "--all-extras", "--no-group=train", "--no-hashes", "--no-emit-project"),
        *("--no-header", "--no-annotate"),
    )
    lines = "".join(f'    "{line}",\n' for line in exported.splitlines())
    return f"[tool.uv]\n{GROUPS}constraint-dependencies = [\n{lines}]\n"


def uv(*arguments: str) -> str:
    """Run uv and return what it prints."""
    command = ["uv", "--quiet", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603


if __name__ == "__main__":
    main()
