"""Engines, iteration by iteration: continuous batching with chunked prefill and a bounded KV cache."""
