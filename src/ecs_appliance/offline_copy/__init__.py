"""Protect env.yml from the loss of its machine: on paper, on a disc, and as an encrypted archive."""
