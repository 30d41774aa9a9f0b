"""Which servers there are."""

from typing import Final

from benchmarks.gateways.bare_asgi_echo import BARE_ASGI_ECHO
from benchmarks.gateways.bare_durable import BARE_DURABLE
from benchmarks.gateways.bare_starlette_echo import BARE_STARLETTE_ECHO
from benchmarks.gateways.headpond import HEADPOND_GATEWAY, HEADPOND_KEYLESS
from benchmarks.gateways.litellm_proxy import LITELLM_PROXY
from benchmarks.gateways.load_generator_limit import LOAD_GENERATOR_LIMIT

GATEWAYS: Final = (
    HEADPOND_GATEWAY,
    HEADPOND_KEYLESS,
    BARE_DURABLE,
    BARE_STARLETTE_ECHO,
    BARE_ASGI_ECHO,
    LITELLM_PROXY,
    LOAD_GENERATOR_LIMIT,
)

# Ratios refer to the first of these that could be measured.
REFERENCES: Final = (HEADPOND_GATEWAY.name, BARE_DURABLE.name)
