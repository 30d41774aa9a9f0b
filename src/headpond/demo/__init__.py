"""The example that ships with Headpond: a small model and product titles that it never saw."""
