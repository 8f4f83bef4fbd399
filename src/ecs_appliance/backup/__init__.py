"""Backups and recoveries: what is saved, where, and how it is restored."""
