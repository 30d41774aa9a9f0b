"""A fleet of pods: the scale of a Deployment, on any cluster.

A worker reports under its pod's name. Pods that go are told by their deletion cost. A pod that ends
by itself is replaced by the cluster. The pods outlive the scaler.
"""

from collections.abc import Sequence

from typing_extensions import override

from headpond.adapters.kubernetes.cluster import Cluster, Deployment
from headpond.adapters.kubernetes.members import member_of
from headpond.adapters.kubernetes.pods import Pods
from headpond.domain.scaling.members import Member
from headpond.errors import SettingsError
from headpond.ports.fleet import Fleet

GOES, STAYS = -1, 0


class KubernetesFleet(Fleet):
    """Call `begin` first."""

    def __init__(self, cluster: Cluster, deployment: Deployment) -> None:
        self._cluster = cluster
        self._deployment = deployment
        self._pods = Pods(cluster, deployment)

    async def begin(self, drain_s: float) -> None:
        """Look whether the Deployment is ours to scale. Raises SettingsError and Unavailable."""
        await self._pods.begin(drain_s)
        await self._decide_alone()

    @override
    async def members(self) -> list[Member]:
        members = [member_of(pod) for pod in await self._pods.present()]
        return sorted(members, key=lambda member: (member.asked_at, member.name))

    @override
    async def scale(self, target: int, first_to_go: Sequence[str]) -> None:
        """Raises SettingsError as long as somebody else scales the Deployment."""
        scale = await self._cluster.scale()
        if target == scale.replicas:
            return
        await self._decide_alone()
        if 0 < target < scale.replicas:
            await self._mark(scale.replicas - target, first_to_go)
        await self._cluster.rescale(scale, target)

    @override
    async def close(self) -> None:
        """Nothing ends with the scaler."""

    async def _decide_alone(self) -> None:
        """Autoscalers may come and go at any time."""
        if others := await self._cluster.autoscalers():
            raise SettingsError(
                f"{self._deployment} is scaled by {', '.join(others)} already: one of them "
                "decides. Delete that, or the ScaledObject that made it, or set scaling.decides "
                "to other: then the scaler only has busy workers go last."
            )

    async def _mark(self, count: int, first_to_go: Sequence[str]) -> None:
        """Have the cluster choose those that are named first."""
        costs = await self._pods.costs()
        rank = {name: number for number, name in enumerate(first_to_go)}
        for number, name in enumerate(sorted(costs, key=lambda each: rank.get(each, len(rank)))):
            cost = GOES if number < count else STAYS
            if costs[name] != cost:
                await self._pods.set_cost(name, cost)
