"""Where emulators differ from what they stand for, as far as our adapters could meet it.

What passes against an emulator has shown nothing of this. Emulators of ours that can be told to
behave so in a test (be away, refuse, be too busy, lose an answer) do not differ in that.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from typing_extensions import override


@dataclass(frozen=True, slots=True)
class Difference:
    """What an emulator does `here`, and what its provider documents for `there`, on a page."""

    what: str
    here: str
    there: str
    page: str

    @override
    def __str__(self) -> str:
        return f"{self.what}: here {self.here}; documented: {self.there} ({self.page})"


MOTO = (
    Difference(
        "order and repetition",
        "messages come as they were sent, and each once a lease",
        "order is an effort, and a message may come more than once",
        "Amazon SQS standard queues",
    ),
    Difference(
        "an empty lane",
        "every poll looks through all of a queue",
        "a poll that does not wait asks some of the servers, and may find nothing where something "
        "is",
        "Amazon SQS short and long polling",
    ),
    Difference(
        "counts of messages",
        "exact, and at once",
        "approximate, and late",
        "Amazon SQS API Reference, GetQueueAttributes",
    ),
    Difference(
        "message groups",
        "of standard queues are all treated alike",
        "those that are noisy are kept back",
        "Amazon SQS fair queues",
    ),
    Difference(
        "a handle whose lease is over",
        "hides and removes the message, whoever has it by now",
        "may be refused, and need not remove what was received again since",
        "Amazon SQS API Reference, DeleteMessage",
    ),
    Difference(
        "the 12 hours of a lease",
        "begin with the sending",
        "begin with the receipt",
        "Amazon SQS API Reference, ChangeMessageVisibility",
    ),
    Difference(
        "the name of a deleted queue",
        "is free at once",
        "is free after 60 seconds",
        "Amazon SQS API Reference, DeleteQueue",
    ),
    Difference(
        "permissions",
        "everybody may do everything, but within `Moto.allowing`",
        "what no policy allows is denied",
        "AWS Identity and Access Management User Guide, Policy evaluation logic",
    ),
    Difference(
        "a table without capacity",
        "does what it is asked; `test_table.py` has a server that does not",
        "refuses, or leaves items of a batch unread",
        "Amazon DynamoDB API Reference, BatchGetItem",
    ),
    Difference(
        "items with a time to live",
        "stay",
        "go within days of it",
        "Amazon DynamoDB Developer Guide, Using time to live (TTL)",
    ),
    Difference(
        "global indexes",
        "are never behind the table",
        "are behind by moments",
        "Amazon DynamoDB Developer Guide, Using Global Secondary Indexes",
    ),
    Difference(
        "writes amid a transaction",
        "wait for their turn in `Atomic`",
        "are refused, as is the transaction if they came first",
        "Amazon DynamoDB Developer Guide, Amazon DynamoDB Transactions: How it works",
    ),
    Difference(
        "two conditional writes of one object at once",
        "wait for their turn in `Atomic`",
        "one may be answered 409 ConditionalRequestConflict",
        "Amazon S3 User Guide, How to prevent object overwrites with conditional writes",
    ),
)

PUBSUB = (
    Difference(
        "order and repetition",
        "messages come as they were published, and each once a deadline",
        "they come in any order, and may come again before their deadline, and once acknowledged",
        "Pub/Sub, Subscription overview",
    ),
    Difference(
        "a pull",
        "brings all that is ready, up to its limit",
        "may bring fewer messages, or none, though more are ready",
        "Pub/Sub reference, projects.subscriptions.pull",
    ),
    Difference(
        "dead letters",
        "are made at the very attempt, and without any permission",
        "attempts are counted approximately, and the service's own account needs two roles",
        "Pub/Sub, Dead-letter topics",
    ),
    Difference(
        "old messages",
        "stay",
        "go when the subscription's retention is over",
        "Pub/Sub, Subscription properties",
    ),
    Difference(
        "counts of messages",
        "exact, and at once",
        "sampled each minute, and not seen for two more",
        "Cloud Monitoring, Google Cloud metrics: pubsub",
    ),
    Difference(
        "permissions and quotas",
        "everybody may do everything, as often as they like",
        "PERMISSION_DENIED without a role, RESOURCE_EXHAUSTED beyond a quota",
        "Pub/Sub reference, Error codes",
    ),
)

GOOGLES = (
    Difference(
        "counts of messages in Pub/Sub",
        "there is no Cloud Monitoring; the server of ours answers for it",
        "each subscription's `num_undelivered_messages`",
        "Cloud Monitoring, Google Cloud metrics: pubsub",
    ),
    Difference(
        "retention of Pub/Sub",
        "at most 7 days are accepted",
        "at most 31 days",
        "Pub/Sub, Subscription properties",
    ),
    Difference(
        "permissions",
        "neither emulator asks for any",
        "what no role allows is denied",
        "Pub/Sub, Access control with IAM; Firestore, Identity and Access Management (IAM)",
    ),
    Difference(
        "transactions of Firestore that meet",
        "wait for simple locks",
        "hold locks, of which some are given up with ABORTED so that another goes on",
        "Firestore, Transaction serializability and isolation",
    ),
    Difference(
        "indexes of Firestore",
        "any query is answered, whatever is indexed",
        "a query that no index serves is FAILED_PRECONDITION",
        "Firestore, Index overview",
    ),
    Difference(
        "limits of Firestore",
        "not all are kept, and nothing is too much",
        "sizes and rates beyond them are refused",
        "Firestore, Usage and limits",
    ),
    Difference(
        "documents with a time to live",
        "stay",
        "go within a day of it",
        "Firestore, Manage data retention with TTL policies",
    ),
)

SERVICE_BUS = (
    Difference(
        "links without work",
        "stay as they are",
        "are detached after ten minutes",
        "Microsoft Learn, AMQP errors in Azure Service Bus",
    ),
    Difference(
        "too many operations",
        "are all done",
        "are refused as ServerBusy, to be sent again after some seconds",
        "Microsoft Learn, Throttling operations on Azure Service Bus",
    ),
    Difference(
        "a full queue, and large messages",
        "everything is kept",
        "a queue has a size and a message 256 KB in the tier Standard; what is beyond is refused",
        "Microsoft Learn, Azure Service Bus quotas and limits",
    ),
    Difference(
        "old messages",
        "stay",
        "go, or are dead letters, when the queue's time to live is over",
        "Microsoft Learn, Azure Service Bus - Message expiration (Time to Live)",
    ),
    Difference(
        "scheduled messages",
        "come the moment they are due",
        "are put into the queue then, and may come later",
        "Microsoft Learn, Message sequencing and timestamps",
    ),
    Difference(
        "who may send, receive and manage",
        "whoever comes with any token",
        "whose token has the right, or the role, for each",
        "Microsoft Learn, Service Bus authentication and authorization",
    ),
)

COSMOS = (
    Difference(
        "request units",
        "cost nothing; 429 is answered where a test says so",
        "each request costs some, and 429 is answered beyond what is provisioned",
        "Microsoft Learn, Request Units in Azure Cosmos DB",
    ),
    Difference(
        "pages of a query",
        "are full but for the last",
        "may be short or empty, with more behind them",
        "Microsoft Learn, Pagination in Azure Cosmos DB for NoSQL",
    ),
    Difference(
        "physical partitions",
        "are two for ever",
        "are split as they grow, also while they are read",
        "Microsoft Learn, Partitioning and horizontal scaling in Azure Cosmos DB",
    ),
    Difference(
        "reads",
        "show what was written last, whatever the account says of its consistency",
        "show that in the levels Strong, and of one region BoundedStaleness",
        "Microsoft Learn, Consistency levels in Azure Cosmos DB",
    ),
    Difference(
        "filters on what is not indexed",
        "are refused",
        "are answered, by looking at every document",
        "Microsoft Learn, Indexing policies in Azure Cosmos DB",
    ),
    Difference(
        "who may read and write",
        "whoever signs with the account's key",
        "also who has a role, by a token of Microsoft Entra ID",
        "Microsoft Learn, Connect to Azure Cosmos DB for NoSQL using role-based access control",
    ),
)

NPM_COSMOS = (
    Difference(
        "batches",
        "are done operation by operation, and know no etags",
        "are done as a whole or not at all",
        "Microsoft Learn, Transactional batch operations in Azure Cosmos DB",
    ),
)

GCS = (
    Difference(
        "who may read and write",
        "everybody",
        "whose token has a role, else 401 or 403",
        "Cloud Storage, Authentication",
    ),
    Difference(
        "parts of an upload",
        "may have any size",
        "have 5 MiB at least, but for the last",
        "Cloud Storage, Quotas & limits",
    ),
    Difference(
        "writes of one object",
        "are all done",
        "beyond one a second they may be answered 429",
        "Cloud Storage, Quotas & limits",
    ),
)

KUBERNETES = (
    Difference(
        "pods of a new scale",
        "are made and marked before the request is answered",
        "are, some time after it, by controllers of their own",
        "Kubernetes, Controllers",
    ),
    Difference(
        "which pods go, of those that cost the same",
        "the youngest",
        "those on nodes with more of them, then the younger on a logarithmic scale, then any",
        "Kubernetes, ReplicaSet",
    ),
    Difference(
        "permissions",
        "whoever has the token may do everything",
        "403 for what no role allows",
        "Kubernetes, Using RBAC Authorization",
    ),
)

ECS = (
    Difference(
        "what a call changed",
        "is seen by the next",
        "is seen eventually",
        "Amazon ECS API Reference, RunTask",
    ),
    Difference(
        "protection from scale-in",
        "lasts until it is taken away, or a test says that its time is over",
        "is over after `expiresInMinutes`",
        "Amazon ECS Developer Guide, Protect your Amazon ECS tasks from being terminated by "
        "scale-in events",
    ),
    Difference(
        "which tasks go, of those that are not protected",
        "the oldest",
        "those of the Availability Zone that has most of them",
        "Amazon ECS API Reference, UpdateService",
    ),
    Difference(
        "tasks that have stopped",
        "are forgotten",
        "are listed for an hour still",
        "Amazon ECS API Reference, DescribeTasks",
    ),
    Difference(
        "deployments",
        "there are none",
        "more tasks than are desired run meanwhile, of two definitions",
        "Amazon ECS Developer Guide, Deploy Amazon ECS services by replacing tasks",
    ),
    Difference(
        "too many calls",
        "are all answered",
        "are refused as ThrottlingException",
        "Amazon ECS API Reference, Request throttling for the Amazon ECS API",
    ),
)

METADATA = (
    Difference(
        "EC2's token in a container",
        "is answered however far away who asks is",
        "does not reach a container behind another hop, unless the limit of hops is raised",
        "Amazon EC2 User Guide, Use the Instance Metadata Service to access instance metadata",
    ),
    Difference(
        "EC2's notice",
        "is there when a test says so",
        "is an effort, and may be missing",
        "Amazon EC2 User Guide, Spot Instance interruption notices",
    ),
    Difference(
        "the first question for Azure's scheduled events",
        "is answered at once",
        "switches the service on, and may take two minutes",
        "Microsoft Learn, Scheduled Events for Linux VMs in Azure",
    ),
)

AZURITE = (
    Difference(
        "who may read and write",
        "whoever signs with the account's key, which all know",
        "also who has a role, by a token of Microsoft Entra ID",
        "Microsoft Learn, Authorize access to data in Azure Storage",
    ),
    Difference(
        "the account",
        "is the first part of the path",
        "is the first part of the host's name",
        "Microsoft Learn, Naming and referencing containers, blobs, and metadata",
    ),
    Difference(
        "versions of the interface",
        "are not looked at, as it is started here",
        "400 for one that is not known",
        "Microsoft Learn, Versioning for Azure Storage",
    ),
    Difference(
        "too many requests",
        "are all answered",
        "503 ServerBusy, or 500 OperationTimedOut",
        "Microsoft Learn, Scalability and performance targets for Blob Storage",
    ),
)

DIFFERENCES: Mapping[str, tuple[Difference, ...]] = {
    "moto_server": MOTO,
    "pubsub_server": PUBSUB,
    "google_emulators": GOOGLES,
    "servicebus_server": SERVICE_BUS,
    "cosmos_server": COSMOS,
    "npm_cosmos": NPM_COSMOS,
    "gcs_server": GCS,
    "kubernetes_server": KUBERNETES,
    "ecs_server": ECS,
    "metadata_server": METADATA,
    "azurite": AZURITE,
}
"""By the emulator's module."""
