"""LiteLLM's proxy with a mocked network: its own work for each request, and no upstream's.

It forwards synchronously and stores nothing, so it does another job than a durable gateway; it is
here because it is what many put in front of their engines.
"""

from typing import Final

from benchmarks.gateways.gateway_subject import PROMPT, GatewaySubject, Request
from benchmarks.harness.environments import LITELLM
from benchmarks.harness.paths import BENCHMARKS

LITELLM_PROXY: Final = GatewaySubject(
    name="litellm_proxy",
    does="LiteLLM proxy: chat completion -> mocked upstream -> 200, one worker",
    durability="none: nothing is stored",
    command=(
        *("{python}", "-m", "benchmarks.gateways.apps.litellm_launcher"),
        *("--host", "127.0.0.1", "--port", "{port}", "--num_workers", "1"),
        *("--config", str(BENCHMARKS / "gateways" / "litellm_proxy.yaml")),
    ),
    # It refuses to start without a key of at least some length.
    variables=(("LITELLM_MASTER_KEY", "{key}"),),
    request=Request(
        path="/v1/chat/completions",
        body_before=(
            '{"model": "mock", "max_tokens": 64, "messages": [{"role": "user", "content": "'
        ),
        body_after=f' {PROMPT}"}}]}}',
        accepted_status=200,
        headers=("authorization: Bearer {key}",),
    ),
    health_path="/health/liveliness",
    environment=LITELLM,
    ready_limit_s=120,
)
