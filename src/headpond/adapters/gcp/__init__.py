"""Google Cloud: queues on Pub/Sub, documents in Firestore."""
