"""The settings of a pool's scaling."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Span = Annotated[float, Meta(ge=0)]
Usd = Annotated[float, Meta(gt=0)]


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours in which a pool has at least so many workers."""

    when: Annotated[str, Meta(description="Days and hours, like `weekdays 08:45-18:00`")]
    min: Annotated[int, Meta(ge=0, description="Fewest workers in these hours")] = 1
    zone: Annotated[str, Meta(description="Time zone of the hours, as IANA names it")] = "UTC"


class ScalingRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many workers a pool has, between none and `max`."""

    decides: Annotated[
        Literal["headpond", "other"],
        Meta(
            description="Who says how many workers there are. `other` is an autoscaler of "
            "Kubernetes, like KEDA: the scaler then only has busy workers go last"
        ),
    ] = "headpond"
    policy: Annotated[
        Literal["flow", "work", "deadline", "predictive", "queue-depth"],
        Meta(description="What the number is made of"),
    ] = "flow"
    min: Annotated[int, Meta(ge=0, description="Fewest workers, at any time")] = 0
    max: Annotated[int, Meta(ge=0, description="Most workers, whatever waits")] = 10
    on_demand: Annotated[
        int, Meta(ge=0, description="So many are of `fleet`, those beyond of `spot_fleet`")
    ] = 0
    target_wait_s: Annotated[
        float, Meta(gt=0, description="Nobody should wait longer; a backlog is gone in this time")
    ] = 60.0
    headroom: Annotated[
        float, Meta(ge=1, description="`flow`, `work`: workers for this many times what arrives")
    ] = 1.1
    messages_per_worker: Annotated[
        int, Meta(ge=1, description="`queue-depth`: a worker for so many jobs that are not done")
    ] = 50
    up_cooldown_s: Annotated[
        Span | None,
        Meta(description="Shortest time between two raises; 120 for `queue-depth`, else 30"),
    ] = None
    down_cooldown_s: Annotated[
        Span, Meta(description="A worker goes when it was not wanted for this long")
    ] = 600.0
    max_step: Annotated[
        int, Meta(ge=1, description="Most workers of one raise; or as many as there are, if more")
    ] = 10
    schedule: Annotated[
        dict[str, Window], Meta(description="Hours with workers that are warm before work comes")
    ] = {}
    usd_per_worker_hour: Annotated[
        Usd | None, Meta(description="What a worker costs, for the caps")
    ] = None
    max_usd_per_hour: Annotated[Usd | None, Meta(description="Most money of an hour (UTC)")] = None
    max_usd_per_day: Annotated[Usd | None, Meta(description="Most money of a day (UTC)")] = None

    @property
    def between_raises_s(self) -> float:
        """The cooldown in force. A policy that counts what is starting need not wait for it."""
        if self.up_cooldown_s is not None:
            return self.up_cooldown_s
        return 120.0 if self.policy == "queue-depth" else 30.0
