"""Formats of the archive's objects."""
