"""What the queues of clouds have in common: a lease is a handle, and its end is kept here."""
