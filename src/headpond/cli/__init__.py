"""The command line: one file per group of commands."""

from headpond.cli.root import app, main

__all__ = ["app", "main"]
