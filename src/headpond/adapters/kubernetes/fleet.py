"""A fleet of pods: the scale of a Deployment, on any cluster.

A worker reports under its pod's name. Pods that go are told by their deletion cost, which the
cluster honours among those that are ready; those that are not ready go first anyway. A pod that
ends by itself is replaced by the cluster. The pods outlive the scaler.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from headpond.adapters.kubernetes.cluster import Cluster, Deployment
from headpond.adapters.kubernetes.pods import member_of
from headpond.domain.scaling.members import Member
from headpond.errors import SettingsError
from headpond.ports.fleet import Fleet

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
GOES, STAYS = "-1", "0"
ENDED = frozenset({"Succeeded", "Failed"})


class KubernetesFleet(Fleet):
    """Call `begin` first."""

    def __init__(self, cluster: Cluster, deployment: Deployment) -> None:
        self._cluster = cluster
        self._deployment = deployment
        self._selector = ""

    async def begin(self, drain_s: float) -> None:
        """Look whether the Deployment is ours to scale. Raises SettingsError and Unavailable."""
        self._selector, grace_s = await self._cluster.template()
        if grace_s <= drain_s:
            raise SettingsError(
                f"The pods of {self._deployment} are killed after {grace_s:g} s "
                f"(terminationGracePeriodSeconds), while workers drain for up to {drain_s:g} s "
                "(worker.drain_s). Give the pods more time than the workers."
            )
        await self._decide_alone()

    @override
    async def members(self) -> list[Member]:
        pods = await self._cluster.pods(self._selector)
        members = [member_of(pod) for pod in pods if pod.status.phase not in ENDED]
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
                f"{self._deployment} is scaled by {', '.join(others)} already. Delete that, "
                "or the ScaledObject that made it, or run no scaler: one of them decides."
            )

    async def _mark(self, count: int, first_to_go: Sequence[str]) -> None:
        """Have the cluster choose those that are named first."""
        pods = [pod for pod in await self._cluster.pods(self._selector) if _stays(pod)]
        rank = {name: number for number, name in enumerate(first_to_go)}
        pods.sort(key=lambda pod: rank.get(pod.metadata.name, len(rank)))
        for number, pod in enumerate(pods):
            cost = GOES if number < count else STAYS
            if _annotations(pod).get(DELETION_COST, STAYS) != cost:
                await self._cluster.annotate(pod.metadata.name, DELETION_COST, cost)


def _stays(pod: Any) -> bool:
    return pod.metadata.deletion_timestamp is None and pod.status.phase not in ENDED


def _annotations(pod: Any) -> Mapping[str, str]:
    return pod.metadata.annotations or {}
