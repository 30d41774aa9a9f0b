"""Metadata services: what clouds tell a machine of itself."""
