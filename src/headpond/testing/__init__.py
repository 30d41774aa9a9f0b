"""Shipped for tests and benchmarks, ours and yours."""
