"""Google Cloud: queues on Pub/Sub, documents in Firestore."""

import os

# A fork here is the start of another program, which needs no gRPC. Else each is told on stderr.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
