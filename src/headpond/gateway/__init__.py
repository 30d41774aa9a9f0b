"""The HTTP side: accept, return a job id, show what became of it. Knows nothing of GPUs."""
