"""Whole machines on this one: bootstrap, boot, guest control, the demonstration."""
