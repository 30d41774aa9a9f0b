"""How long the random histories run.

`HEADPOND_HISTORIES=long` searches for minutes instead of seconds: `make histories`.
"""

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "short", max_examples=100, stateful_step_count=40, deadline=None, database=None
)
settings.register_profile(
    "long",
    max_examples=1_000,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HEADPOND_HISTORIES", "short"))
