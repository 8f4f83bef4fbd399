"""Builds the pillar from environment and facts, runs Salt in-process, and returns a typed report."""
