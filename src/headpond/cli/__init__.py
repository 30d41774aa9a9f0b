"""The command line: one file per group of commands."""

from headpond.cli.root import command_line, main

__all__ = ["command_line", "main"]
