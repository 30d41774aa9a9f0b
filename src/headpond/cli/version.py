"""`headpond version`."""

from importlib import metadata

from headpond.cli.console import out, show_json
from headpond.cli.options import JsonOption


def version(*, as_json: JsonOption = False) -> None:
    """Print the release that is installed."""
    release = metadata.version("headpond")
    if as_json:
        show_json({"version": release})
    else:
        out.print(release)


commands = (version,)
