"""Bare applications, run in the main environment; nothing of a product is in them."""
