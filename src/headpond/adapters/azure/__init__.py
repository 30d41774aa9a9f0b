"""Azure: queues on Service Bus."""
