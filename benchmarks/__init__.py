"""Benchmarks of Headpond and its peers; see README.md in this folder."""
