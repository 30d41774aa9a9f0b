"""As much of a Kubernetes API server as the fleet talks to, with one Deployment's controllers.

It follows the documented behaviour of the real one: the scale subresource with conflicts on a
stale resourceVersion, merge patches, label selectors of both kinds, `Status` objects as errors, and
a ReplicaSet that makes and deletes pods in the order that its documentation gives (those that are
not ready first, then the lower deletion cost, then the younger). Pods find a node as soon as they
are made, unless they are `unschedulable`; they become ready, and deleted ones go, when `settle`
says so. Whoever has the token may do everything that is not `forbidden`. There is no watch.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from tests.emulators.serving import Trouble

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
NAMESPACE = "models"
NAME = "workers"
LABELS = {"app": "headpond-worker"}
TOKEN = {"token": "test"}


class Kubernetes:
    """A cluster with the Deployment `workers` in the namespace `models`, which has no pods yet."""

    def __init__(self, grace_s: int | None = 60) -> None:
        self.replicas = 0
        self.grace_s = grace_s
        """The server fills in 30 where the template has none; None is a server that does not."""
        self.selector: dict[str, Any] = {"matchLabels": LABELS}
        self.pods: dict[str, dict[str, Any]] = {}
        self.unschedulable: str | None = None
        """What the scheduler says while no node has room for another pod."""
        self.autoscaled: list[str] = []
        self.scaled_objects: list[dict[str, Any]] | None = None
        """Of KEDA, None where it is not installed."""
        self.asked: set[tuple[str, str]] = set()
        """Resources and verbs, as roles name them, of all requests."""
        self.forbidden: set[tuple[str, str]] = set()
        """What the role does not have of those."""
        self.trouble = Trouble()
        self.refuse: tuple[int, str] | None = None
        """Status and reason of every answer, as an API server that is overloaded gives them."""
        self.token = "test"
        """Of the one who may come in."""
        self.patches: list[str] = []
        self._versions = count(100)
        self._version = next(self._versions)
        self._births = count()
        self._names = count()

    def app(self) -> web.Application:
        """The server."""
        app = web.Application(middlewares=[self.trouble.middleware, self._refusing])
        apps = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{{name}}"
        app.router.add_get(apps, self._deployment)
        app.router.add_get(f"{apps}/scale", self._scale)
        app.router.add_patch(f"{apps}/scale", self._rescale)
        pods = f"/api/v1/namespaces/{NAMESPACE}/pods"
        app.router.add_get(pods, self._list_pods)
        app.router.add_patch(f"{pods}/{{name}}", self._patch_pod)
        autoscalers = f"/apis/autoscaling/v2/namespaces/{NAMESPACE}/horizontalpodautoscalers"
        app.router.add_get(autoscalers, self._autoscalers)
        scaled = f"/apis/keda.sh/v1alpha1/namespaces/{NAMESPACE}/scaledobjects"
        app.router.add_get(scaled, self._scaled_objects)
        return app

    def settle(self) -> None:
        """Kubelets do what they were told: pods that start are ready, pods that end are gone."""
        self.pods = {n: p for n, p in self.pods.items() if not _terminating(p)}
        for pod in self.pods.values():
            if _has_node(pod) or self.unschedulable is None:
                pod["status"] = _running(ready=True)

    def rescale(self, replicas: int) -> None:
        """Somebody says how many pods there should be."""
        self.replicas = replicas
        self._version = next(self._versions)
        self._reconcile()

    def hold_up(self, name: str, reason: str, message: str, *, phase: str = "Pending") -> None:
        """The pod's container waits; in the phase `Running` it did run before."""
        self.pods[name]["status"] = _waiting(phase, reason, message)

    def fail_checks(self, name: str) -> None:
        """The pod runs, and its readiness probe fails."""
        self.pods[name]["status"] = _running(ready=False)

    def add_stranger(self, name: str, labels: dict[str, str]) -> None:
        """A pod of somebody else's in the same namespace."""
        self._make_pod(name, labels)

    def lose(self, name: str) -> None:
        """The pod's machine is gone; the ReplicaSet makes another pod."""
        del self.pods[name]
        self._reconcile()

    def _reconcile(self) -> None:
        ours = [pod for pod in self.pods.values() if pod["metadata"]["labels"] == LABELS]
        staying = [pod for pod in ours if not _terminating(pod)]
        for _ in range(self.replicas - len(staying)):
            # Real names are random. These sort as they were born, so that histories are repeated.
            self._make_pod(f"{NAME}-{next(self._names):05}", dict(LABELS))
        for pod in sorted(staying, key=_first_deleted)[: max(0, len(staying) - self.replicas)]:
            pod["metadata"]["deletionTimestamp"] = _now()

    def _make_pod(self, name: str, labels: dict[str, str]) -> None:
        self.pods[name] = {
            "metadata": {
                "name": name,
                "namespace": NAMESPACE,
                "labels": labels,
                "creationTimestamp": _now(),
                "uid": f"{next(self._births):08}",
            },
            "spec": {"containers": [{"name": "worker"}]},
            "status": (
                _waiting("Pending", "ContainerCreating")
                if self.unschedulable is None
                else _unscheduled(self.unschedulable)
            ),
        }

    @web.middleware
    async def _refusing(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if self.refuse is not None:
            return _status(*self.refuse)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized")
        named = _as_roles_name_it(request)
        if named in self.forbidden:
            return _status(403, f"{named[0]} is forbidden")
        self.asked.add(named)
        return await handler(request)

    async def _deployment(self, request: web.Request) -> web.Response:
        if request.match_info["name"] != NAME:
            return _status(404, f'deployments.apps "{request.match_info["name"]}" not found')
        template = {
            "metadata": {"labels": LABELS},
            "spec": {
                "containers": [{"name": "worker"}],
                "terminationGracePeriodSeconds": self.grace_s,
            },
        }
        spec = {"replicas": self.replicas, "selector": self.selector}
        return web.json_response(
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": self._metadata(),
                "spec": {**spec, "template": template},
            }
        )

    async def _scale(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(
            {
                "apiVersion": "autoscaling/v1",
                "kind": "Scale",
                "metadata": self._metadata(),
                "spec": {"replicas": self.replicas},
                "status": {"replicas": len(self.pods)},
            }
        )

    async def _rescale(self, request: web.Request) -> web.Response:
        patch = await _merge_patch(request)
        version = patch.get("metadata", {}).get("resourceVersion")
        if version not in {None, str(self._version)}:
            return _status(
                409, f'Operation cannot be fulfilled on deployments.apps "{NAME}": modified'
            )
        self.rescale(patch["spec"]["replicas"])
        return await self._scale(request)

    async def _list_pods(self, request: web.Request) -> web.Response:
        wanted = _requirements(request.query["labelSelector"])
        pods = [
            pod
            for pod in self.pods.values()
            if all(_meets(pod["metadata"]["labels"], *each) for each in wanted)
        ]
        return web.json_response({"apiVersion": "v1", "kind": "PodList", "items": pods})

    async def _patch_pod(self, request: web.Request) -> web.Response:
        name, patch = request.match_info["name"], await _merge_patch(request)
        if name not in self.pods:
            return _status(404, f'pods "{name}" not found')
        self.patches.append(name)
        self.pods[name] = _merged(self.pods[name], patch)
        return web.json_response(self.pods[name])

    async def _autoscalers(self, request: web.Request) -> web.Response:
        del request
        items = [
            {
                "metadata": {"name": name},
                "spec": {
                    "maxReplicas": 9,
                    "scaleTargetRef": {"kind": "Deployment", "name": target},
                },
            }
            for name, _, target in (each.partition(" ") for each in self.autoscaled)
        ]
        return web.json_response({"kind": "HorizontalPodAutoscalerList", "items": items})

    async def _scaled_objects(self, request: web.Request) -> web.Response:
        del request
        if self.scaled_objects is None:
            return _status(404, "the server could not find the requested resource")
        return web.json_response({"kind": "ScaledObjectList", "items": self.scaled_objects})

    def _metadata(self) -> dict[str, str]:
        return {"name": NAME, "namespace": NAMESPACE, "resourceVersion": str(self._version)}


def write_kubeconfig(file: Path, server: str, user: Mapping[str, object] = TOKEN) -> None:
    """As an operator has it."""
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": dict(user)}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    file.write_text(yaml.safe_dump(kubeconfig))


def _merged(target: Any, patch: Any) -> Any:
    """As RFC 7396, "JSON Merge Patch", has it."""
    if not _is_object(patch):
        return patch
    kept: dict[str, Any] = target if _is_object(target) else {}
    changed = {name: _merged(kept.get(name), value) for name, value in patch.items()}
    return {name: value for name, value in (kept | changed).items() if value is not None}


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _as_roles_name_it(request: web.Request) -> tuple[str, str]:
    _, _, path = request.path.partition(f"/namespaces/{NAMESPACE}/")
    resource, *name_and_part = path.split("/")
    named = "/".join([resource, *name_and_part[1:]])
    if request.method == "PATCH":
        return named, "patch"
    return named, "get" if name_and_part else "list"


async def _merge_patch(request: web.Request) -> dict[str, Any]:
    assert request.content_type == "application/merge-patch+json"
    return json.loads(await request.read())


def _requirements(selector: str) -> list[tuple[str, str, set[str]]]:
    """Label, operator and values of each; none of them is every pod, as in the real one."""
    parts = [part.strip() for part in re.findall(r"(?:\([^)]*\)|[^,(])+", selector)]
    return [_requirement(part) for part in parts]


def _requirement(text: str) -> tuple[str, str, set[str]]:
    if found := re.fullmatch(r"(\S+) (in|notin) \(([^()]+)\)", text):
        return found[1], found[2], set(found[3].split(","))
    if found := re.fullmatch(r"([\w./-]+)=([\w.-]*)", text):
        return found[1], "in", {found[2]}
    found = re.fullmatch(r"(!?)([\w./-]+)", text)
    assert found, f"the API server would refuse the selector {text!r}"
    return found[2], "!" if found[1] else "exists", set()


def _meets(labels: dict[str, str], label: str, operator: str, values: set[str]) -> bool:
    match operator:
        case "in":
            return labels.get(label) in values
        case "notin":
            return labels.get(label) not in values
        case "!":
            return label not in labels
        case _:
            return label in labels


def _terminating(pod: dict[str, Any]) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _first_deleted(pod: dict[str, Any]) -> tuple[bool, bool, bool, int, int]:
    """The order in which a ReplicaSet deletes, as far as these pods differ."""
    metadata, running = pod["metadata"], pod["status"]["phase"] == "Running"
    cost = int(metadata.get("annotations", {}).get(DELETION_COST, "0"))
    return _has_node(pod), running, _meets_condition(pod, "Ready"), cost, -int(metadata["uid"])


def _has_node(pod: dict[str, Any]) -> bool:
    return _meets_condition(pod, "PodScheduled")


def _meets_condition(pod: dict[str, Any], kind: str) -> bool:
    conditions = pod["status"]["conditions"]
    return any(each["type"] == kind and each["status"] == "True" for each in conditions)


def _unscheduled(message: str) -> dict[str, Any]:
    """A pod without a node has no container statuses, and no condition but this."""
    condition = _unmet("PodScheduled", "Unschedulable", message)
    return {"phase": "Pending", "conditions": [condition]}


def _waiting(phase: str, reason: str, message: str = "") -> dict[str, Any]:
    waiting = {"reason": reason} | ({"message": message} if message else {})
    return _placed(phase, {"waiting": waiting}, ready=False)


def _running(*, ready: bool) -> dict[str, Any]:
    return _placed("Running", {"running": {"startedAt": _now()}}, ready=ready)


def _placed(phase: str, state: dict[str, Any], *, ready: bool) -> dict[str, Any]:
    """The status of a pod that has a node."""
    unready = "ContainersNotReady", "containers with unready status: [worker]"
    container = {
        "name": "worker",
        "state": state,
        "ready": ready,
        "restartCount": 0,
        "image": "worker",
        "imageID": "",
    }
    return {
        "phase": phase,
        "conditions": [
            _met("PodScheduled"),
            _met("Initialized"),
            *(
                _met(kind) if ready else _unmet(kind, *unready)
                for kind in ("ContainersReady", "Ready")
            ),
        ],
        "containerStatuses": [container],
    }


def _met(kind: str) -> dict[str, str]:
    return {"type": kind, "status": "True"}


def _unmet(kind: str, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": "False", "reason": reason, "message": message}


def _status(code: int, message: str) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "message": message, "code": code}
    return web.json_response(body, status=code)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
