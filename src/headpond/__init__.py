"""A durable queue in front of self-hosted LLM engines."""
