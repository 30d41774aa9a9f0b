"""The web as webhooks see it: guarded connections, answers of which little is read."""
