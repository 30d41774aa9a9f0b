"""Shipped for tests and benchmarks: clocks, virtual time, a fake engine, one suite per port."""
