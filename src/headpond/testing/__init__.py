"""Shipped for whoever writes a backend: clocks, virtual time, one conformance suite per port."""
