"""The queues that are compared, one a file."""
