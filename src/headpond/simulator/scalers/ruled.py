"""The product's own policies: the same pure decision that its autoscaler takes."""

from typing_extensions import override

from headpond.domain.scaling.decision import decide
from headpond.domain.scaling.memory import Memory
from headpond.domain.scaling.policies import policy_of
from headpond.domain.scaling.rules import ScalingRules
from headpond.settings import ScalerSettings
from headpond.simulator.fluid import STEP_S
from headpond.simulator.scalers.scaler import Change, Scaler, Sight

EVERY_S = max(STEP_S, ScalerSettings().every_s)
"""As the product's autoscaler looks, but no oftener than a step of the simulation."""


class Ruled(Scaler):
    """Decides as the rules say, and finds machines running at the first look."""

    def __init__(self, rules: ScalingRules, every_s: float = EVERY_S) -> None:
        self.rules = rules
        self._policy = policy_of(rules)
        self._memory = Memory()
        self._every_s = every_s

    @property
    @override
    def every_s(self) -> float:
        return self._every_s

    @override
    def look(self, sight: Sight, now: float) -> Change:
        decision = decide(self._policy, self.rules, sight.seen, self._memory, now)
        self._memory = decision.memory
        return Change(decision.target, decision.why)
