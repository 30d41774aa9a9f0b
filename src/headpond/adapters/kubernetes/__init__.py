"""Kubernetes, wherever it runs: workers as the pods of a Deployment."""
