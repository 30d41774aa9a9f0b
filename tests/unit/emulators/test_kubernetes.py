"""Our Kubernetes does what its documentation says of the API server and of ReplicaSets.

Each test names the page that it follows.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.emulators.kubernetes_server import DELETION_COST, LABELS, NAME, NAMESPACE, Kubernetes
from tests.unit.emulators.asking import Answer, Ask, asking

DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}"
SCALE, PODS = f"{DEPLOYMENT}/scale", f"/api/v1/namespaces/{NAMESPACE}/pods"
OURS = "app=headpond-worker"


@pytest.fixture
def cluster() -> Kubernetes:
    return Kubernetes()


@pytest.fixture
async def ask(cluster: Kubernetes) -> AsyncIterator[Ask]:
    async with asking(cluster.app(), Authorization=f"Bearer {cluster.token}") as ask:
        yield ask


async def patched(ask: Ask, path: str, body: object) -> Answer:
    return await ask(
        "PATCH", path, json=body, headers={"Content-Type": "application/merge-patch+json"}
    )


async def scaled(ask: Ask, replicas: int) -> None:
    assert (await patched(ask, SCALE, {"spec": {"replicas": replicas}})).status == 200


async def pods(ask: Ask, selector: str = OURS) -> dict[str, dict[str, Any]]:
    """Their metadata, by name."""
    found = (await ask("GET", PODS, params={"labelSelector": selector})).json["items"]
    return {pod["metadata"]["name"]: pod["metadata"] for pod in found}


async def test_a_scale_of_an_old_version_is_a_conflict(ask: Ask) -> None:
    """Kubernetes API Concepts: Resource versions."""
    version = (await ask("GET", SCALE)).json["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": version}, "spec": {"replicas": 1}}
    first, second = [await patched(ask, SCALE, patch) for _ in range(2)]
    assert (first.status, second.status) == (200, 409)
    assert first.json["metadata"]["resourceVersion"] != version
    assert second.json["message"].startswith("Operation cannot be fulfilled")


async def test_a_merge_patch_changes_what_it_names_and_null_removes(ask: Ask) -> None:
    """Update API Objects in Place Using kubectl patch; RFC 7396."""
    await scaled(ask, 1)
    (name,) = await pods(ask)
    for annotations in ({"a": "1", "b": "2"}, {"a": None, "c": "3"}):
        await patched(ask, f"{PODS}/{name}", {"metadata": {"annotations": annotations}})
    (metadata,) = (await pods(ask)).values()
    assert metadata["annotations"] == {"b": "2", "c": "3"}
    assert metadata["labels"] == LABELS


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("app=web", {"front", "back"}),
        ("app=web,tier in (front,side)", {"front"}),
        ("tier notin (front)", {"back", "bare"}),
        ("!tier", {"bare"}),
        ("app,tier", {"front", "back"}),
    ],
)
async def test_a_selector_asks_for_all_at_once_and_notin_takes_what_has_no_such_label(
    ask: Ask, cluster: Kubernetes, selector: str, found: set[str]
) -> None:
    """Labels and Selectors."""
    cluster.add_stranger("front", {"app": "web", "tier": "front"})
    cluster.add_stranger("back", {"app": "web", "tier": "back"})
    cluster.add_stranger("bare", {"job": "once"})
    assert set(await pods(ask, selector)) == found


async def test_pods_go_in_the_order_of_the_replica_set(ask: Ask, cluster: Kubernetes) -> None:
    """ReplicaSet: Scaling a ReplicaSet."""
    await scaled(ask, 4)
    cluster.settle()
    oldest, cheap, youngest, unready = await pods(ask)
    cluster.fail_checks(unready)
    cost = {"metadata": {"annotations": {DELETION_COST: "-1"}}}
    await patched(ask, f"{PODS}/{cheap}", cost)
    went: list[str] = []
    for replicas in (3, 2, 1):
        await scaled(ask, replicas)
        went += [n for n, told in (await pods(ask)).items() if "deletionTimestamp" in told]
        cluster.settle()
    assert went == [unready, cheap, youngest]
    assert set(await pods(ask)) == {oldest}


async def test_a_pod_that_is_deleted_is_there_until_it_has_ended(
    ask: Ask, cluster: Kubernetes
) -> None:
    """Pod Lifecycle: Termination of Pods."""
    await scaled(ask, 1)
    (name,) = await pods(ask)
    await scaled(ask, 0)
    assert "deletionTimestamp" in (await pods(ask))[name]
    cluster.settle()
    assert await pods(ask) == {}


async def test_what_is_refused_is_told_by_a_status(ask: Ask) -> None:
    """Kubernetes API reference: Status."""
    missing = await ask("GET", DEPLOYMENT.replace(NAME, "other"))
    stranger = await ask("GET", DEPLOYMENT, headers={"Authorization": "Bearer of nothing"})
    for answer, status in ((missing, 404), (stranger, 401)):
        assert answer.status == answer.json["code"] == status
        assert (answer.json["kind"], answer.json["status"]) == ("Status", "Failure")
