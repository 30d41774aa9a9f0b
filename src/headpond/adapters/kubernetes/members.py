"""What the API server says of a pod, as a member of a fleet.

A pod is pending until all of its containers were started, and in its `initContainers` until an
engine beside the worker is up; it is ready when its condition `Ready` says so.
"""

from typing import Any

from headpond.domain.scaling.members import Member, Standing


def member_of(pod: Any) -> Member:
    """A worker under the pod's name."""
    metadata, standing = pod.metadata, _standing(pod.status)
    return Member(
        name=metadata.name,
        asked_at=metadata.creation_timestamp.timestamp(),
        draining=metadata.deletion_timestamp is not None,
        standing=standing,
        why="" if standing is Standing.READY else _why(pod.status),
    )


def _standing(status: Any) -> Standing:
    if status.phase == "Pending":
        return Standing.PENDING
    conditions = {condition.type: condition.status for condition in status.conditions or ()}
    return Standing.READY if conditions.get("Ready") == "True" else Standing.STARTED


def _why(status: Any) -> str:
    """What it waits for first: a node, then one of its containers, then to be ready."""
    unmet = {each.type: each for each in status.conditions or () if each.status != "True"}
    containers = (*(status.init_container_statuses or ()), *(status.container_statuses or ()))
    waiting = (container.state.waiting for container in containers if container.state)
    told: list[Any] = [unmet.get("PodScheduled"), *waiting, unmet.get("Ready")]
    first: Any = next((said for said in told if said is not None), None)
    return "" if first is None else ": ".join(filter(None, (first.reason, first.message)))
