"""The pods of a Deployment, and what it costs to delete each.

The cluster takes those of a lower cost first, among pods that are ready; pods that are not ready go
before them, whatever they cost.
"""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from headpond.adapters.kubernetes.cluster import Cluster, Deployment
from headpond.errors import SettingsError
from headpond.ports.fleet import Ranked

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
ENDED = frozenset({"Succeeded", "Failed"})


class Pods(Ranked):
    """Call `begin` first."""

    def __init__(self, cluster: Cluster, deployment: Deployment) -> None:
        self._cluster = cluster
        self._deployment = deployment
        self._selector = ""

    async def begin(self, drain_s: float) -> None:
        """Learn which they are, and whether they have the time to drain.

        Raises SettingsError and Unavailable.
        """
        self._selector, grace_s = await self._cluster.template()
        if grace_s <= drain_s:
            raise SettingsError(
                f"The pods of {self._deployment} are killed after {grace_s:g} s "
                f"(terminationGracePeriodSeconds), while workers drain for up to {drain_s:g} s "
                "(worker.drain_s). Give the pods more time than the workers."
            )

    async def present(self) -> list[Any]:
        """Those that have not ended, as the API server has them."""
        pods = await self._cluster.pods(self._selector)
        return [pod for pod in pods if pod.status.phase not in ENDED]

    @override
    async def costs(self) -> dict[str, int]:
        return {
            pod.metadata.name: int(_annotations(pod).get(DELETION_COST, 0))
            for pod in await self.present()
            if pod.metadata.deletion_timestamp is None
        }

    @override
    async def set_cost(self, worker: str, cost: int) -> None:
        await self._cluster.annotate(worker, DELETION_COST, str(cost))


def _annotations(pod: Any) -> Mapping[str, str]:
    return pod.metadata.annotations or {}
