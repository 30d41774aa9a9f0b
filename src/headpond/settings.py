"""Every setting, typed, with its default and its meaning.

One YAML file, `headpond.yaml`, holds them; `HEADPOND_…` variables with `__` between the levels
override it. Everything is optional. Spans ending in `_s` are seconds.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from headpond.domain.identity import Limits
from headpond.domain.pricing import TokenPrice
from headpond.domain.retry import RetryPolicy
from headpond.domain.scaling.rules import ScalingRules

Seconds = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]
Weight = Annotated[float, Meta(ge=0.01, le=100)]
Port = Annotated[int, Meta(ge=0, le=65535)]
MaybeSecret = Annotated[str, Meta(extra={"secret": True})]
"""Text that may be a key, so that none of its kind is shown."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A group of settings."""


class EngineSettings(Section, frozen=True):
    """Where a pool's answers come from: a server's `url`, or a `gguf` file served embedded.

    With neither, the pool serves the example model embedded.
    """

    url: Annotated[str | None, Meta(description="Base URL of an OpenAI-compatible server")] = None
    gguf: Annotated[str | None, Meta(description="A GGUF file for the embedded engine")] = None
    api_key: Annotated[
        str | None,
        Meta(description="Sent to the server as a bearer token", extra={"secret": True}),
    ] = None
    timeout_s: Annotated[Seconds, Meta(description="Longest time for one answer")] = 600.0
    start_grace_s: Annotated[Seconds, Meta(description="Longest time to become healthy")] = 600.0
    context_tokens: Annotated[Count, Meta(description="Embedded: context of one request")] = 512
    threads: Annotated[
        Count | None, Meta(description="Embedded: CPU threads, default half of the cores")
    ] = None


class PoolSettings(Section, frozen=True):
    """A fleet of like workers in front of one base model."""

    engine: EngineSettings = EngineSettings()
    models: Annotated[
        tuple[str, ...],
        Meta(
            description="Models that the pool serves; the first one is its default. With none, it "
            "takes jobs for any model, which wait where the engine has none of that name; "
            "`headpond up` asks the engine for its models. Without `engine.url` it is the file of "
            "`engine.gguf` by its name, or else the example, beside which no other may be listed"
        ),
    ] = ()
    model_version: Annotated[
        str | None,
        Meta(
            description="Jobs say that this version of the model answered them, the archive has a "
            "folder for it, and answers are remembered for it: change it with the weights"
        ),
    ] = None
    max_in_flight: Annotated[Count, Meta(description="Requests at the engine, per worker")] = 16
    kv_usage_limit: Annotated[
        float, Meta(gt=0, le=1, description="Above this share of the KV cache, stop pulling")
    ] = 0.85
    lease_s: Annotated[Seconds, Meta(description="A silent worker loses its jobs after this")] = 30
    batch_patience_s: Annotated[
        Seconds,
        Meta(description="After so long behind interactive work, batch work gets a share"),
    ] = 600.0
    retry: RetryPolicy = RetryPolicy()
    scaling: ScalingRules = ScalingRules()
    fleet: Annotated[
        str,
        Meta(
            description="What the scaler scales: `local`, processes on its machine; "
            "`kubernetes://NAMESPACE/DEPLOYMENT`; `ecs://REGION/CLUSTER/SERVICE`"
        ),
    ] = "local"
    spot_fleet: Annotated[
        str | None,
        Meta(description="Workers beyond `scaling.on_demand`: another deployment or service"),
    ] = None
    price: Annotated[
        TokenPrice | None, Meta(description="What a quote charges; without it, it names no price")
    ] = None


class GatewaySettings(Section, frozen=True):
    """The HTTP side."""

    host: Annotated[str, Meta(description="Address to bind")] = "127.0.0.1"
    port: Annotated[Port, Meta(description="0 takes a free port")] = 8080
    max_body_bytes: Annotated[Count, Meta(description="Largest request body")] = 1_048_576
    max_json_depth: Annotated[Count, Meta(description="Deepest nesting of a body")] = 32
    max_prompt_chars: Annotated[Count, Meta(description="Longest prompt, all messages")] = 8_000
    max_output_tokens: Annotated[Count, Meta(description="Largest max_tokens")] = 4_096
    max_wait_s: Annotated[Seconds, Meta(description="Longest time a request may be held")] = 120.0
    unknown_parameters: Annotated[
        Literal["refuse", "pass"],
        Meta(description="Parameters of the chat API that Headpond does not know"),
    ] = "refuse"


class JwtSettings(Section, frozen=True):
    """Tokens of an identity provider, beside API keys."""

    jwks: Annotated[str, Meta(description="File or https URL of the JSON Web Key Set")]
    issuer: Annotated[str | None, Meta(description="Required `iss`")] = None
    audience: Annotated[str | None, Meta(description="Required `aud`")] = None
    algorithms: Annotated[
        tuple[Literal["RS256", "ES256"], ...], Meta(description="Accepted signatures")
    ] = ("RS256", "ES256")
    team_claim: Annotated[str, Meta(description="Claim that names the team")] = "team"
    feature_claim: Annotated[str, Meta(description="Claim that names the feature")] = "feature"
    role_claim: Annotated[
        str | None, Meta(description="Claim that is, or lists, `operator` for operators")
    ] = None


class AuthSettings(Section, frozen=True):
    """How callers prove who they are, beside API keys in the store."""

    jwt: JwtSettings | None = None


class LimitSettings(Section, frozen=True):
    """Rate limits. A key's own limits go before its team's, these before the default."""

    shared: Annotated[
        str | None,
        Meta(
            description="Where all gateways count together: redis://HOST:PORT/DB. "
            "Without it, each counts for itself"
        ),
    ] = None
    default: Limits = Limits()
    teams: dict[str, Limits] = {}


class TeamShare(Section, frozen=True):
    """How much of the work of a lane goes to a team, beside the others."""

    weight: Annotated[
        Weight,
        Meta(description="A team of weight 2 gets twice the tokens of one of weight 1"),
    ] = 1.0


class FairnessSettings(Section, frozen=True):
    """How teams share the workers; a team that is not named has weight 1."""

    teams: dict[str, TeamShare] = {}

    @property
    def weights(self) -> dict[str, float]:
        """The weights of the teams that are named."""
        return {team: share.weight for team, share in self.teams.items()}


class WorkerSettings(Section, frozen=True):
    """What all workers share; the rest stands with each pool."""

    drain_s: Annotated[Seconds, Meta(description="Time to finish work after SIGTERM")] = 25.0
    notices: Annotated[
        Literal["none", "aws", "azure", "gcp", "ecs"],
        Meta(
            description="Whose metadata service tells that this machine, or task of ECS, goes: "
            "drain then, too"
        ),
    ] = "none"
    metrics_port: Annotated[
        Port | None,
        Meta(description="Serve the worker's metrics here; the next worker of `up` one higher"),
    ] = None
    metrics_host: Annotated[str, Meta(description="Address to bind for that")] = "127.0.0.1"


class ScalerSettings(Section, frozen=True):
    """The process that decides how many workers pools have; the rules stand with each pool."""

    every_s: Annotated[Seconds, Meta(description="Time between two decisions")] = 2.0
    lease_s: Annotated[Seconds, Meta(description="Another scaler takes over from a silent one")] = (
        30.0
    )
    keep_s: Annotated[Seconds, Meta(description="How long decisions are kept")] = 604_800
    metrics_port: Annotated[Port | None, Meta(description="Serve the scaler's metrics here")] = None
    metrics_host: Annotated[str, Meta(description="Address to bind for that")] = "127.0.0.1"


class ReaperSettings(Section, frozen=True):
    """The duty that finds what was left lying."""

    every_s: Annotated[Seconds, Meta(description="Time between two looks")] = 5.0
    accepted_grace_s: Annotated[
        Seconds, Meta(description="A job accepted longer ago and not queued is sent again")
    ] = 30.0
    unseen_s: Annotated[
        Seconds | None,
        Meta(
            description="With a queue on SQS, Pub/Sub or Service Bus: a job whose message no "
            "worker saw for so long is sent again; null is 7 days, 15.5 with Pub/Sub"
        ),
    ] = None


class WebhookSettings(Section, frozen=True):
    """What is sent to the endpoints of teams and to the callbacks of jobs."""

    allow_http: Annotated[bool, Meta(description="Take URLs that begin with http://, too")] = False
    allowed_networks: Annotated[
        tuple[str, ...],
        Meta(description="Networks in CIDR form that may be sent to, beside public addresses"),
    ] = ()
    timeout_s: Annotated[Seconds, Meta(description="Longest time for one attempt")] = 20.0
    schedule_s: Annotated[
        tuple[Seconds, ...],
        Meta(description="Delays after each failed attempt; after the last one it is given up"),
    ] = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
    disable_after_s: Annotated[
        Seconds,
        Meta(description="An endpoint that failed for this long is disabled with what it gave up"),
    ] = 259_200
    keep_s: Annotated[Seconds, Meta(description="How long deliveries that ended are shown")] = (
        604_800
    )


class DeadLetterSettings(Section, frozen=True):
    """Jobs that kept failing, and their way back."""

    max_redrives: Annotated[Count, Meta(description="How often one job may be redriven")] = 3
    redrive_per_s: Annotated[
        Seconds, Meta(description="Jobs a second that a redrive puts back, if it names no pace")
    ] = 50.0


Keep = Seconds | None


class RetentionSettings(Section, frozen=True):
    """How long requests and results are kept after a job's end; its record stays for ever.

    For the lines of a batch the time begins when it has ended. Dead letters are kept until they are
    redriven, discarded or deleted.
    """

    keep_s: Annotated[Keep, Meta(description="Seconds after the end; null keeps for ever")] = (
        2_592_000
    )
    teams: Annotated[dict[str, Keep], Meta(description="The same for teams with their own")] = {}
    every_s: Annotated[Seconds, Meta(description="Time between two looks")] = 60.0


class ArchiveSettings(Section, frozen=True):
    """Every request and result as files, for fine-tuning and analysis; off without a `url`."""

    url: Annotated[
        str | None,
        Meta(description="`file:///FOLDER`, `s3://BUCKET/PATH`, `az://CONTAINER/PATH`, `gs://…`"),
    ] = None
    formats: Annotated[
        tuple[Literal["jsonl", "parquet"], ...], Meta(min_length=1, description="One file of each")
    ] = ("jsonl", "parquet")
    every_s: Annotated[
        int, Meta(ge=60, le=86_400, description="Ends of so long go into files together")
    ] = 300
    settle_s: Annotated[
        Seconds,
        Meta(description="Works so far behind: what is written later waits for the next day"),
    ] = 120.0
    redact: Annotated[
        str | None,
        Meta(description="`MODULE:FUNCTION` that makes of a row, a dict, what may be archived"),
    ] = None
    keep_s: Annotated[Keep, Meta(description="Seconds that days are kept; null for ever")] = None
    options: Annotated[
        dict[str, MaybeSecret],
        Meta(
            description="What else the object store has to know, as obstore names it. A file holds "
            "keys, secrets, tokens and passwords as references only; `config show` masks all values"
        ),
    ] = {}


class CacheSettings(Section, frozen=True):
    """Answers that are remembered; off without a `url`."""

    url: Annotated[
        str | None,
        Meta(description="`sqlite:///FILE`, relative to `home`, or redis://HOST:PORT/DB"),
    ] = None
    keep_s: Annotated[Seconds, Meta(description="How long an answer is remembered")] = 86_400
    max_answer_bytes: Annotated[
        Count, Meta(description="An answer that is larger is not remembered")
    ] = 65_536
    max_bytes: Annotated[
        int,
        Meta(ge=1_048_576, description="SQLite: what is over that drops the answers put first"),
    ] = 268_435_456


class BatchSettings(Section, frozen=True):
    """Files and batches."""

    max_file_bytes: Annotated[Count, Meta(description="Largest file")] = 209_715_200
    max_team_bytes: Annotated[
        Count, Meta(description="All files of a team, those that its batches wrote included")
    ] = 21_474_836_480
    files: Annotated[
        str | None,
        Meta(
            description="An object store for the bytes of files, if not beside the records, "
            "and for large bodies of a store of documents: "
            "`s3://BUCKET/PATH`, `az://CONTAINER/PATH`, `gs://…`"
        ),
    ] = None
    options: Annotated[
        dict[str, MaybeSecret],
        Meta(description="What else it has to know; like `archive.options`"),
    ] = {}
    max_lines: Annotated[int, Meta(ge=1, le=100_000, description="Most requests of one batch")] = (
        50_000
    )
    max_open: Annotated[
        Count, Meta(description="Batches of a team that have not ended, at one time")
    ] = 100
    lease_s: Annotated[
        Seconds, Meta(description="Another gateway goes on with the batches of a silent one")
    ] = 30.0
    every_s: Annotated[Seconds, Meta(description="Time between two looks at a batch")] = 1.0


class PostgresSettings(Section, frozen=True):
    """How a process talks to a store on PostgreSQL."""

    connections: Annotated[
        Count,
        Meta(
            description="Connections for what must be on the disk, and as many for the rest; "
            "one more listens"
        ),
    ] = 4
    connect_timeout_s: Annotated[Seconds, Meta(description="Longest time to connect")] = 5.0
    statement_timeout_s: Annotated[
        Seconds, Meta(description="The server gives up a statement that takes longer")
    ] = 15.0


class LogSettings(Section, frozen=True):
    """Logs go to standard error."""

    format: Annotated[
        Literal["console", "json"], Meta(description="For people, or a JSON object a line")
    ] = "console"
    level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="The least that is told")
    ] = "info"


class Settings(Section, frozen=True):
    """The whole file."""

    home: Annotated[str, Meta(description="Folder for data")] = ".headpond"
    store: Annotated[
        str,
        Meta(
            description="Everything durable: `sqlite:///FILE`, relative to `home`, "
            "`postgresql://…`, `dynamodb://…`, `firestore://…` or `cosmos://…`"
        ),
    ] = "sqlite:///headpond.db"
    queue: Annotated[
        str | None,
        Meta(description="A queue elsewhere than in the store, which may need one"),
    ] = None
    streams: Annotated[
        str | None,
        Meta(description="Where streamed tokens go, if not into the store: redis://HOST:PORT/DB"),
    ] = None
    postgres: PostgresSettings = PostgresSettings()
    idempotency_ttl_s: Annotated[Seconds, Meta(description="How long a key is remembered")] = 86_400
    sdk_retry_window_s: Annotated[
        Seconds,
        Meta(
            description="How long an SDK's retry without a key leads to the job of its first try; "
            "the default is two time-outs of the official client and its pauses"
        ),
    ] = 1_260
    stream_ttl_s: Annotated[
        Seconds, Meta(description="How long streamed tokens are kept after the job's end")
    ] = 3_600
    gateway: GatewaySettings = GatewaySettings()
    worker: WorkerSettings = WorkerSettings()
    scaler: ScalerSettings = ScalerSettings()
    reaper: ReaperSettings = ReaperSettings()
    retention: RetentionSettings = RetentionSettings()
    archive: ArchiveSettings = ArchiveSettings()
    dead_letters: DeadLetterSettings = DeadLetterSettings()
    batches: BatchSettings = BatchSettings()
    cache: CacheSettings = CacheSettings()
    pools: dict[str, PoolSettings] = msgspec.field(
        default_factory=lambda: {"default": PoolSettings()}
    )
    auth: AuthSettings = AuthSettings()
    limits: LimitSettings = LimitSettings()
    webhooks: WebhookSettings = WebhookSettings()
    fairness: FairnessSettings = FairnessSettings()
    log: LogSettings = LogSettings()
