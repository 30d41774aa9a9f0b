"""Proofs that break things for real; `make chaos` runs them, the test command does not."""
