"""Calls of a cluster's API server, for one Deployment: where their errors become ours.

Who we are is the pod's service account, or else what KUBECONFIG or ~/.kube/config says; both are
asked again each minute, since their tokens lapse. Time-outs are set here; nothing is tried again,
because the autoscaler comes again in seconds.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from kubernetes_asyncio import client, config  # pyright: ignore[reportMissingTypeStubs]
from typing_extensions import override

from headpond.adapters.kubernetes.selector import selector_of
from headpond.errors import SettingsError, Unavailable

log = logging.getLogger(__name__)

CALL_S = 10.0
REFRESH_S = 60.0
MERGE = "application/merge-patch+json"

GRACE_S = 30.0
"""Of pods that say nothing."""

SCALED_OBJECTS = {"group": "keda.sh", "version": "v1alpha1", "plural": "scaledobjects"}

FORBIDDEN, GONE = 403, 404
DENIED = frozenset({401, FORBIDDEN, GONE, 422})
"""What nobody but the operator can put right."""

UNIDENTIFIED = (config.ConfigException, OSError, TimeoutError, aiohttp.ClientError)
"""What the plugins and files that say who we are may raise."""


class Deployment(msgspec.Struct, frozen=True):
    """A Deployment by its name."""

    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Scale(msgspec.Struct, frozen=True):
    """How many pods there should be, as of a version of the Deployment."""

    replicas: int
    version: str


class Cluster:
    """What the fleet asks of the API server. Each call raises SettingsError and Unavailable."""

    def __init__(self, api: Any, deployment: Deployment) -> None:
        self._deployment = deployment
        self._apps: Any = client.AppsV1Api(api)
        self._core: Any = client.CoreV1Api(api)
        self._autoscaling: Any = client.AutoscalingV2Api(api)
        self._custom: Any = client.CustomObjectsApi(api)

    async def template(self) -> tuple[str, float]:
        """A selector of the Deployment's pods, and the seconds that they have to end."""
        found = await self._call(self._apps.read_namespaced_deployment, self._deployment.name)
        grace_s = found.spec.template.spec.termination_grace_period_seconds
        return self._selector(found.spec.selector), GRACE_S if grace_s is None else float(grace_s)

    async def scale(self) -> Scale:
        """How many pods there should be."""
        found = await self._call(self._apps.read_namespaced_deployment_scale, self._deployment.name)
        return Scale(found.spec.replicas or 0, found.metadata.resource_version)

    async def rescale(self, before: Scale, replicas: int) -> None:
        """So many there should be. Unavailable where somebody else was faster."""
        body = {"metadata": {"resourceVersion": before.version}, "spec": {"replicas": replicas}}
        await self._patch(self._apps.patch_namespaced_deployment_scale, self._deployment.name, body)

    async def pods(self, selector: str) -> list[Any]:
        """The pods of a selector."""
        found = await self._call(self._core.list_namespaced_pod, label_selector=selector)
        return found.items

    async def annotate(self, pod: str, annotation: str, value: str) -> None:
        """Set an annotation of a pod; nothing if it is gone."""
        body = {"metadata": {"annotations": {annotation: value}}}
        try:
            await self._patch(self._core.patch_namespaced_pod, pod, body)
        except SettingsError as error:
            if getattr(error.__cause__, "status", None) != GONE:
                raise

    async def autoscalers(self) -> list[str]:
        """The names of what scales this Deployment: autoscalers and KEDA's ScaledObjects.

        KEDA makes an autoscaler of each of its own, and deletes it while it is paused.
        """
        found = await self._call(self._autoscaling.list_namespaced_horizontal_pod_autoscaler)
        scalers = [(each.metadata.name, each.spec.scale_target_ref) for each in found.items]
        names = [name for name, at in scalers if self._is_ours(at.kind, at.name)]
        return names or await self._scaled_objects()

    async def _scaled_objects(self) -> list[str]:
        """None where there is no KEDA, or the role does not let us look."""
        try:
            found = await self._call(self._custom.list_namespaced_custom_object, **SCALED_OBJECTS)
        except SettingsError as error:
            if getattr(error.__cause__, "status", None) in {FORBIDDEN, GONE}:
                return []
            raise
        scalers = [
            (each["metadata"]["name"], each["spec"]["scaleTargetRef"]) for each in found["items"]
        ]
        return [
            name for name, at in scalers if self._is_ours(at.get("kind", "Deployment"), at["name"])
        ]

    def _is_ours(self, kind: str, name: str) -> bool:
        return (kind, name) == ("Deployment", self._deployment.name)

    def _selector(self, selector: Any) -> str:
        try:
            return selector_of(selector.match_labels or {}, selector.match_expressions or ())
        except ValueError as error:
            raise SettingsError(
                f"The pods of {self._deployment} cannot be told: {error}."
            ) from error

    async def _patch(self, operation: Any, name: str, body: object) -> None:
        await self._call(operation, name, body=body, _content_type=MERGE)

    async def _call(self, operation: Any, *names: str, **more: object) -> Any:
        namespace = self._deployment.namespace
        answer: Awaitable[Any] = operation(
            *names, namespace=namespace, _request_timeout=CALL_S, **more
        )
        try:
            return await answer
        except client.ApiException as error:
            raise self._translated(error) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _away(f"{type(error).__name__}: {error}") from error

    def _translated(self, error: Any) -> Exception:
        try:
            why = str(msgspec.json.decode(error.body or "{}")["message"])
        except (msgspec.DecodeError, KeyError, TypeError):
            why = str(error.reason)
        if error.status in DENIED:
            return SettingsError(
                f"The fleet kubernetes://{self._deployment} cannot be scaled: {why}. "
                "docs/scaling.md has the role that it takes."
            )
        return _away(why)


def _away(why: str) -> Unavailable:
    return Unavailable("Kubernetes does not answer.", why=why, code="kubernetes_unavailable")


@asynccontextmanager
async def open_cluster(deployment: Deployment) -> AsyncGenerator[Cluster]:
    """The cluster that this process is in, or that its configuration names.

    Raises SettingsError.
    """
    configuration: Any = client.Configuration()
    try:
        async with asyncio.timeout(CALL_S):
            await _identify(configuration)
    except UNIDENTIFIED as error:
        raise SettingsError(f"fleet: no Kubernetes cluster is to be found: {error}.") from error
    api: Any = client.ApiClient(configuration)
    async with api:
        yield Cluster(api, deployment)


async def _identify(configuration: Any) -> None:
    """Fill in the server and who we are."""
    sdk: Any = config
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        # It reads its token again each minute by itself.
        sdk.load_incluster_config(client_configuration=configuration)
        return
    file = os.environ.get("KUBECONFIG")
    loader = await sdk.load_kube_config(file, client_configuration=configuration)
    asked_at = time.monotonic()

    async def again(_: object) -> None:
        nonlocal asked_at
        if time.monotonic() - asked_at < REFRESH_S:
            return
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(CALL_S):
                await loader.load_and_set(configuration)
        except UNIDENTIFIED as error:
            # What was known may do still; if not, the cluster says so.
            log.warning("who we are in the cluster is not to be learned anew: %s", error)

    configuration.refresh_api_key_hook = again
