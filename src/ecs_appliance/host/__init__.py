"""Thin adapters, one for each tool of the machine."""
