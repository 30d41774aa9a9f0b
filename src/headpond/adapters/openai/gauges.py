"""Reads an engine's load out of its Prometheus page.

Not a parser of the whole text format: a vLLM page has hundreds of series, five are wanted, and
the page is read every second or so.
"""

import math
import re

from headpond.ports.engine import Gauges

RUNNING = (b"vllm:num_requests_running", b"llamacpp:requests_processing")
WAITING = (b"vllm:num_requests_waiting", b"llamacpp:requests_deferred")
KV_USAGE = (
    b"vllm:kv_cache_usage_perc",
    b"vllm:gpu_cache_usage_perc",  # vLLM before 0.11
    b"llamacpp:kv_cache_usage_ratio",  # llama.cpp before 2025-08
)

# A label's value may hold anything but a line break, so the labels reach to the line's last brace.
_SAMPLE = re.compile(
    rb"^(" + b"|".join(RUNNING + WAITING + KV_USAGE) + rb")(?:\{.*\})?[ \t]+([^\s#]+)",
    re.MULTILINE,
)


def read_gauges(page: bytes) -> Gauges:
    """Requests summed over an engine's replicas, and the fullest KV cache among them."""
    values: dict[bytes, list[float]] = {}
    for name, text in _SAMPLE.findall(page):
        value = _number(text)
        if value is not None:
            values.setdefault(name, []).append(value)
    running = [value for name in RUNNING for value in values.get(name, ())]
    waiting = [value for name in WAITING for value in values.get(name, ())]
    kv_usage = [value for name in KV_USAGE for value in values.get(name, ())]
    return Gauges(
        running=int(sum(running)) if running else None,
        waiting=int(sum(waiting)) if waiting else None,
        kv_usage=max(kv_usage) if kv_usage else None,
    )


def _number(text: bytes) -> float | None:
    """None for NaN, infinities and nonsense: they say as little as a missing line."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
