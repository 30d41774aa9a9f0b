"""A pool's scaling as stores keep it: JSON texts."""

import msgspec

from headpond.domain.scaling.state import ScalingState, ScalingStep

_encode = msgspec.json.Encoder().encode

state_of = msgspec.json.Decoder(ScalingState).decode
step_of = msgspec.json.Decoder(ScalingStep).decode


def record_of(kept: ScalingState | ScalingStep) -> str:
    """The text."""
    return _encode(kept).decode()
