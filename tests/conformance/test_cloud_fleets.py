"""Fleets elsewhere keep the contract: pods of Kubernetes and tasks of ECS, over HTTP.

Both servers are ours and follow the providers' documents: no real one is to be had here. moto's ECS
starts no tasks for a service, so it would prove nothing.
"""

import json
import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import yaml
from typing_extensions import override

from headpond.adapters.aws.fleet import EcsFleet, EcsService
from headpond.adapters.kubernetes.cluster import Deployment, open_cluster
from headpond.adapters.kubernetes.fleet import KubernetesFleet
from headpond.adapters.memory.roster import MemoryRoster
from headpond.domain.scaling.members import Standing
from headpond.errors import SettingsError, Unavailable
from headpond.ports.fleet import Fleet
from headpond.services.protector import Protector
from headpond.testing.clocks import ManualClock
from headpond.testing.fleet_suite import FleetStage, FleetSuite
from tests.emulators import ecs_server
from tests.emulators.ecs_server import Ecs
from tests.emulators.kubernetes_server import DELETION_COST, LABELS, Kubernetes, write_kubeconfig
from tests.emulators.serving import served
from tests.fleet_stages import (
    WORKERS,
    ecs_stage,
    kubernetes_stage,
    on_ecs,
    on_kubernetes,
    scaled_by_another,
)
from tests.unit.domain.scaling.test_protection import NOW, busy

PLUGINS = "client.authentication.k8s.io/v1"


@pytest.fixture
def cluster() -> Kubernetes:
    return Kubernetes()


@pytest.fixture
async def pods(cluster: Kubernetes) -> AsyncGenerator[KubernetesFleet]:
    async with on_kubernetes(cluster) as fleet:
        yield fleet


class TestKubernetesFleet(FleetSuite):
    @pytest.fixture
    @override
    async def stage(self, pods: KubernetesFleet, cluster: Kubernetes) -> FleetStage:
        return kubernetes_stage(pods, cluster)


NO_ROOM = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


async def told(fleet: Fleet) -> list[tuple[Standing, str]]:
    """What the platform says of each member."""
    return [(member.standing, member.why) for member in await fleet.members()]


async def test_a_pod_without_a_node_is_pending_until_one_has_room(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    cluster.unschedulable = NO_ROOM
    await pods.scale(1, [])
    cluster.settle()
    assert await told(pods) == [(Standing.PENDING, f"Unschedulable: {NO_ROOM}")]
    cluster.unschedulable = None
    cluster.settle()
    assert await told(pods) == [(Standing.READY, "")]


async def test_a_pod_tells_what_its_container_waits_for(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    await pods.scale(1, [])
    assert await told(pods) == [(Standing.PENDING, "ContainerCreating")]
    (name,) = cluster.pods
    cluster.hold_up(name, "ImagePullBackOff", 'Back-off pulling image "worker"')
    why = 'ImagePullBackOff: Back-off pulling image "worker"'
    assert await told(pods) == [(Standing.PENDING, why)]
    cluster.hold_up(name, "CrashLoopBackOff", "back-off 10s", phase="Running")
    assert await told(pods) == [(Standing.STARTED, "CrashLoopBackOff: back-off 10s")]


async def test_an_engine_beside_the_worker_is_waited_for_first(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    await pods.scale(1, [])
    (name,) = cluster.pods
    cluster.hold_up(name, "PodInitializing", "")
    (worker,) = cluster.pods[name]["status"]["containerStatuses"]
    engine = worker | {"name": "engine", "state": {"waiting": {"reason": "ErrImagePull"}}}
    cluster.pods[name]["status"]["initContainerStatuses"] = [engine]
    assert await told(pods) == [(Standing.PENDING, "ErrImagePull")]


async def test_a_pod_that_fails_its_checks_is_not_ready(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    await pods.scale(2, [])
    cluster.settle()
    first, _ = (member.name for member in await pods.members())
    cluster.fail_checks(first)
    why = "ContainersNotReady: containers with unready status: [worker]"
    assert await told(pods) == [(Standing.STARTED, why), (Standing.READY, "")]


async def test_a_pod_of_which_nobody_has_said_anything_is_pending_without_a_reason(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    await pods.scale(1, [])
    (pod,) = cluster.pods.values()
    pod["status"] = {"phase": "Pending"}
    assert await told(pods) == [(Standing.PENDING, "")]


async def test_pods_that_are_pending_go_first_whoever_is_named(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    await pods.scale(2, [])
    cluster.settle()
    first, second = (member.name for member in await pods.members())
    cluster.unschedulable = NO_ROOM
    await pods.scale(4, [])
    await pods.scale(2, [first, second])
    cluster.settle()
    assert {member.name for member in await pods.members()} == {first, second}


async def test_a_pod_that_was_to_go_once_is_not_the_next_to_go(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    await pods.scale(3, [])
    cluster.settle()
    first, second, third = (member.name for member in await pods.members())
    # Marked, and then the scaler dies before it says how many there should be.
    await pods._mark(1, [first])
    await pods.scale(2, [second, first, third])
    assert [m.name for m in await pods.members() if m.draining] == [second]
    assert cluster.pods[first]["metadata"]["annotations"][DELETION_COST] == "0"
    assert third not in cluster.patches


async def test_a_pod_that_is_gone_before_it_is_marked_stops_nothing(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    await pods.scale(1, [])
    await pods._cluster.annotate("gone", DELETION_COST, "-1")
    assert cluster.patches == []


async def test_who_is_scaled_by_somebody_else_is_left_alone(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    cluster.autoscaled = ["mine another", "keda-hpa-workers workers"]
    with pytest.raises(SettingsError, match="is scaled by keda-hpa-workers already"):
        await pods.begin(drain_s=25)


async def test_an_autoscaler_that_comes_later_is_not_fought(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    await pods.scale(2, [])
    cluster.settle()
    cluster.autoscaled = ["keda-hpa-workers workers"]
    with pytest.raises(SettingsError, match="is scaled by keda-hpa-workers already"):
        await pods.scale(1, [])
    assert (cluster.replicas, cluster.patches) == (2, [])
    cluster.autoscaled = []
    await pods.scale(1, [])
    assert cluster.replicas == 1


async def test_keda_that_is_paused_decides_all_the_same(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    of_others = [{"name": "another"}, {"kind": "StatefulSet", "name": "workers"}]
    cluster.scaled_objects = [_scaled_object("theirs", target) for target in of_others]
    await pods.scale(2, [])
    cluster.scaled_objects.append(_scaled_object("workers-by-depth", {"name": "workers"}))
    with pytest.raises(SettingsError, match="is scaled by workers-by-depth already"):
        await pods.scale(1, [])
    assert cluster.replicas == 2


async def test_a_role_that_does_not_know_keda_is_enough_to_scale(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    cluster.forbidden = {("scaledobjects", "list")}
    await pods.scale(2, [])
    assert cluster.replicas == 2
    cluster.forbidden = {("horizontalpodautoscalers", "list")}
    with pytest.raises(SettingsError, match="horizontalpodautoscalers is forbidden"):
        await pods.scale(1, [])


def _scaled_object(name: str, target: dict[str, str]) -> dict[str, object]:
    return {"metadata": {"name": name}, "spec": {"scaleTargetRef": target}}


async def test_a_pod_that_is_busy_outlives_those_that_are_not_whoever_shrinks_the_deployment(
    cluster: Kubernetes,
) -> None:
    cluster.autoscaled = ["keda-hpa-workers workers"]
    cluster.rescale(3)
    cluster.settle()
    roster = MemoryRoster()
    async with scaled_by_another(cluster) as pods:
        protector = Protector("default", pods, roster, ManualClock(NOW))
        oldest, middle, youngest = cluster.pods
        for worker, in_flight in ((oldest, 1), (middle, 0), (youngest, 9)):
            await roster.report(busy(worker, in_flight))
        await protector.tick()
        for left in ({oldest, youngest}, {youngest}):
            cluster.rescale(len(left))
            cluster.settle()
            assert set(cluster.pods) == left
        await protector.tick()
    assert sorted(cluster.patches) == sorted([oldest, youngest])


async def test_who_only_protects_needs_the_smaller_role(cluster: Kubernetes) -> None:
    cluster.rescale(1)
    roster = MemoryRoster()
    await roster.report(busy(*cluster.pods, in_flight=1))
    async with scaled_by_another(cluster) as pods:
        await Protector("default", pods, roster, ManualClock(NOW)).tick()
    assert cluster.asked == granted("headpond-protector")


async def test_who_decides_needs_the_larger_role(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    await pods.scale(2, [])
    await pods.scale(1, [])
    assert cluster.asked == granted("headpond-scaler")


def granted(role: str) -> set[tuple[str, str]]:
    """Resources and verbs of a role in docs/scaling.md."""
    page = (Path(__file__).parents[2] / "docs/scaling.md").read_text()
    documents = [
        yaml.safe_load(example) for example in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    ]
    (found,) = (
        document
        for document in documents
        if document.get("kind") == "Role" and document["metadata"]["name"] == role
    )
    return {
        (resource, verb)
        for rule in found["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize(
    "expression",
    [
        {"key": "app", "operator": "In", "values": ["headpond-worker", "headpond-other"]},
        {"key": "app", "operator": "NotIn", "values": ["web", "database"]},
        {"key": "app", "operator": "Exists"},
        {"key": "tier", "operator": "DoesNotExist"},
    ],
    ids=lambda expression: expression["operator"],
)
async def test_pods_of_others_in_the_namespace_are_no_members(
    pods: KubernetesFleet, cluster: Kubernetes, expression: dict[str, object]
) -> None:
    cluster.add_stranger("stranger", {"tier": "front"} | _other_app(expression))
    cluster.selector = {"matchExpressions": [expression]}
    await pods.begin(drain_s=25)
    await pods.scale(2, [])
    cluster.settle()
    assert {member.name for member in await pods.members()} == set(cluster.pods) - {"stranger"}


def _other_app(expression: dict[str, object]) -> dict[str, str]:
    """Of the stranger: none where the label itself is what is asked for."""
    return {} if expression["operator"] == "Exists" else {"app": "web"}


async def test_labels_and_expressions_are_asked_for_together(
    pods: KubernetesFleet, cluster: Kubernetes
) -> None:
    cluster.add_stranger("stranger", LABELS | {"tier": "front"})
    cluster.selector = {
        "matchLabels": LABELS,
        "matchExpressions": [
            {"key": "tier", "operator": "NotIn", "values": ["front", "back"]},
            {"key": "app", "operator": "Exists"},
        ],
    }
    await pods.begin(drain_s=25)
    assert await pods.members() == []


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        ({}, "The pods of models/workers cannot be told: its selector is empty"),
        (
            {"matchExpressions": [{"key": "app", "operator": "Gt", "values": ["1"]}]},
            "cannot be told: its selector has the operator 'Gt'",
        ),
    ],
)
async def test_a_selector_that_is_not_understood_is_told(
    pods: KubernetesFleet, cluster: Kubernetes, selector: dict[str, object], words: str
) -> None:
    cluster.selector = selector
    with pytest.raises(SettingsError, match=words):
        await pods.begin(drain_s=25)


@pytest.mark.parametrize(("grace_s", "drain_s", "killed_after_s"), [(0, 25, 0), (None, 30, 30)])
async def test_pods_that_are_killed_at_once_are_not_taken_for_patient_ones(
    pods: KubernetesFleet,
    cluster: Kubernetes,
    grace_s: int | None,
    drain_s: float,
    killed_after_s: int,
) -> None:
    cluster.grace_s = grace_s
    with pytest.raises(SettingsError, match=f"are killed after {killed_after_s} s"):
        await pods.begin(drain_s)


async def test_pods_have_to_have_the_time_to_drain(pods: KubernetesFleet) -> None:
    with pytest.raises(SettingsError, match=r"are killed after 60 s .* drain for up to 60 s"):
        await pods.begin(drain_s=60)


async def test_two_who_scale_at_once_do_not_overwrite_each_other(pods: KubernetesFleet) -> None:
    seen = await pods._cluster.scale()
    await pods.scale(2, [])
    with pytest.raises(Unavailable, match="cannot be fulfilled"):
        await pods._cluster.rescale(seen, 9)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (403, SettingsError, "kubernetes://models/workers cannot be scaled: no.*docs/scaling.md"),
        (429, Unavailable, "Kubernetes does not answer: no"),
        (503, Unavailable, "Kubernetes does not answer: no"),
    ],
)
async def test_what_the_api_server_refuses_is_told(
    pods: KubernetesFleet, cluster: Kubernetes, status: int, error: type[Exception], words: str
) -> None:
    cluster.refuse = (status, "no")
    with pytest.raises(error, match=words):
        await pods.members()


@pytest.mark.parametrize("name", ["other", "headpods"])
async def test_a_deployment_that_is_not_there_is_told(pods: KubernetesFleet, name: str) -> None:
    pods._cluster._deployment = Deployment(WORKERS.namespace, name)
    with pytest.raises(SettingsError, match=f'deployments.apps "{name}" not found'):
        await pods.begin(drain_s=25)


async def test_a_cluster_that_is_away_is_unavailable(
    pods: KubernetesFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headpond.adapters.kubernetes.cluster.CALL_S", 1e-6)
    with pytest.raises(Unavailable, match="Timeout"):
        await pods.members()


class Plugin:
    """A command that says who we are, as the clouds' tools have one; its tokens lapse at once."""

    def __init__(self, folder: Path) -> None:
        self._token, template = folder / "token", folder / "credential.json"
        credential = {
            "apiVersion": PLUGINS,
            "kind": "ExecCredential",
            "status": {"token": "TOKEN", "expirationTimestamp": "2026-01-01T00:00:00Z"},
        }
        template.write_text(json.dumps(credential))
        command = f'sed "s/TOKEN/$(cat {self._token})/" {template}; test -s {self._token}'
        self.user = {"exec": {"apiVersion": PLUGINS, "command": "sh", "args": ["-c", command]}}

    def issue(self, token: str) -> None:
        """From now on it is this one; the command fails if it is empty."""
        self._token.write_text(token)


async def test_a_token_that_lapses_is_asked_for_again(
    cluster: Kubernetes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugin = Plugin(tmp_path)
    cluster.token = "first"
    plugin.issue("first")
    async with served(cluster.app()) as url:
        write_kubeconfig(tmp_path / "kubeconfig", url, plugin.user)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        async with open_cluster(WORKERS) as opened:
            await opened.scale()
            cluster.token = "second"
            plugin.issue("second")
            with pytest.raises(SettingsError, match="Unauthorized"):
                await opened.scale()  # it is asked for each minute
            monkeypatch.setattr("headpond.adapters.kubernetes.cluster.REFRESH_S", 0.0)
            await opened.scale()
            plugin.issue("")
            await opened.scale()
            assert "exec: process returned 1" in caplog.text


async def test_a_command_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = {"exec": {"apiVersion": PLUGINS, "command": "no-such-command"}}
    write_kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:1", user)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    with pytest.raises(SettingsError, match="no-such-command"):
        async with open_cluster(WORKERS):
            pass


async def test_no_cluster_at_all_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="no Kubernetes cluster is to be found"):
        async with open_cluster(WORKERS):
            pass


@pytest.fixture
def ecs() -> Ecs:
    return Ecs()


@pytest.fixture
async def tasks(ecs: Ecs) -> AsyncGenerator[EcsFleet]:
    async with on_ecs(ecs) as fleet:
        yield fleet


class TestEcsFleet(FleetSuite):
    @pytest.fixture
    @override
    async def stage(self, tasks: EcsFleet, ecs: Ecs) -> FleetStage:
        return ecs_stage(tasks, ecs)


async def test_a_task_is_pending_until_all_of_it_runs(tasks: EcsFleet, ecs: Ecs) -> None:
    await tasks.scale(1, [])
    (task,) = ecs.tasks.values()
    for status in ("PROVISIONING", "PENDING", "ACTIVATING"):
        task["lastStatus"] = status
        assert await told(tasks) == [(Standing.PENDING, status)]
    task["containers"] = [{"name": "engine"}, {"name": "worker", "reason": "CannotPullContainer"}]
    assert await told(tasks) == [(Standing.PENDING, "ACTIVATING: CannotPullContainer")]


async def test_a_task_is_ready_while_it_runs_and_is_not_known_to_be_ill(
    tasks: EcsFleet, ecs: Ecs
) -> None:
    await tasks.scale(1, [])
    ecs.settle()
    (task,) = ecs.tasks.values()
    for health in ("HEALTHY", "UNKNOWN"):
        task["healthStatus"] = health
        assert await told(tasks) == [(Standing.READY, "")]
    task["healthStatus"] = "UNHEALTHY"
    assert await told(tasks) == [(Standing.STARTED, "UNHEALTHY")]


async def test_all_tasks_are_seen_and_all_that_stay_are_protected(
    tasks: EcsFleet, ecs: Ecs
) -> None:
    await tasks.scale(25, [])
    ecs.settle()
    names = [member.name for member in await tasks.members()]
    assert len(names) == 25
    await tasks.scale(24, [names[7]])
    assert set(ecs.protected.values()) == {2}
    assert len(ecs.protected) == 24
    assert [m.name for m in await tasks.members() if m.draining] == [names[7]]


async def test_who_was_to_stay_a_moment_ago_can_be_the_next_to_go(
    tasks: EcsFleet, ecs: Ecs
) -> None:
    await tasks.scale(5, [])
    ecs.settle()
    a, b, c, d, e = (member.name for member in await tasks.members())
    await tasks.scale(3, [d, e])
    ecs.settle()
    await tasks.scale(2, [c])
    assert [m.name for m in await tasks.members() if m.draining] == [c]
    assert set(ecs.protected) >= {ecs_server.ARN + a, ecs_server.ARN + b}


async def test_all_can_go_although_some_were_to_stay_a_moment_ago(
    tasks: EcsFleet, ecs: Ecs
) -> None:
    await tasks.scale(12, [])
    ecs.settle()
    await tasks.scale(11, [])
    ecs.settle()
    await tasks.scale(0, [])
    assert all(member.draining for member in await tasks.members())
    assert not ecs.protected


async def test_nobody_goes_while_somebody_busy_cannot_be_protected(
    tasks: EcsFleet, ecs: Ecs
) -> None:
    await tasks.scale(2, [])
    ecs.settle()
    first, second = (member.name for member in await tasks.members())
    ecs.unprotectable = {ecs_server.ARN + second}
    with pytest.raises(Unavailable, match="DEPLOYMENT_BLOCKED"):
        await tasks.scale(1, [first])
    assert ecs.desired == 2


@pytest.mark.parametrize(
    ("worker", "beside"),
    [
        ({}, {"stopTimeout": 120}),
        ({}, {"stopTimeout": 120, "essential": False}),
        ({"stopTimeout": 30, "essential": True}, {"stopTimeout": 2, "essential": False}),
    ],
)
async def test_tasks_have_to_have_the_time_to_drain(
    tasks: EcsFleet, ecs: Ecs, worker: dict[str, object], beside: dict[str, object]
) -> None:
    ecs.containers = [{"name": "beside"} | beside, {"name": "worker"} | worker]
    await tasks.begin(drain_s=29)
    with pytest.raises(SettingsError, match=r"after 30 s .*'worker'.* drain for up to 30 s"):
        await tasks.begin(drain_s=30)


async def test_tasks_that_somebody_else_deploys_have_the_time_that_they_have(
    tasks: EcsFleet, ecs: Ecs
) -> None:
    ecs.definition = None
    await tasks.begin(drain_s=3_600)


async def test_a_service_that_is_not_there_is_told(tasks: EcsFleet) -> None:
    tasks._service = EcsService(ecs_server.REGION, ecs_server.CLUSTER, "other")
    with pytest.raises(SettingsError, match="there is no active service ecs://eu-central-1/models"):
        await tasks.begin(drain_s=25)


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("AccessDeniedException", SettingsError, "cannot be scaled: AccessDenied.*docs/scal"),
        ("ThrottlingException", Unavailable, "AWS does not answer: DescribeServices"),
    ],
)
async def test_what_ecs_refuses_is_told(
    tasks: EcsFleet, ecs: Ecs, kind: str, error: type[Exception], words: str
) -> None:
    ecs.refuse = (400, kind)
    with pytest.raises(error, match=words):
        await tasks.begin(drain_s=25)
