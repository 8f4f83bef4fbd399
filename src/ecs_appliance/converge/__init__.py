"""Pillar from environment and facts, Salt in-process, its typed report."""
