"""Engines, iteration by iteration: continuous batching, chunked prefill, a bounded KV cache."""
