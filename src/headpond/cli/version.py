"""`headpond version`."""

from importlib import metadata

from headpond.cli.console import show_json, show_text
from headpond.cli.options import JsonOption


def version(*, as_json: JsonOption = False) -> None:
    """Print the release that is installed."""
    release = metadata.version("headpond")
    if as_json:
        show_json({"version": release})
    else:
        show_text(release)
