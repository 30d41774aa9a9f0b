"""Optional dependencies: what each extra installs, and which URL of a setting needs which."""

from importlib.util import find_spec

from headpond.errors import MissingExtra

MODULES = {
    "aws": ("aiobotocore",),
    "azure": ("azure.cosmos", "azure.identity", "azure.servicebus"),
    "gcp": ("google.cloud.firestore", "google.cloud.monitoring_v3", "google.cloud.pubsub_v1"),
    "kubernetes": ("kubernetes_asyncio",),
    "llamacpp": ("xllamacpp",),
    "postgres": ("asyncpg",),
    "redis": ("redis",),
}

SCHEMES = {
    "postgresql": ("postgres", "A store in PostgreSQL"),
    "dynamodb": ("aws", "A store in DynamoDB"),
    "firestore": ("gcp", "A store in Firestore"),
    "cosmos": ("azure", "A store in Cosmos DB"),
    "sqs": ("aws", "A queue on SQS"),
    "pubsub": ("gcp", "A queue on Pub/Sub"),
    "servicebus": ("azure", "A queue on Service Bus"),
    "redis": ("redis", "What the settings put in Redis"),
    "rediss": ("redis", "What the settings put in Redis"),
    "kubernetes": ("kubernetes", "A fleet on Kubernetes"),
    "ecs": ("aws", "A fleet on ECS"),
}


def require_for(url: str) -> None:
    """Raises MissingExtra if what the URL names needs one. Loads no library, asks nobody."""
    scheme = url.partition("://")[0].partition("+")[0]
    if scheme in SCHEMES:
        require(*SCHEMES[scheme])


def require(extra: str, purpose: str) -> None:
    """Raises MissingExtra if one of its modules is not there."""
    if not all(map(_is_there, MODULES[extra])):
        raise MissingExtra(extra, purpose)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package around it
        return False
