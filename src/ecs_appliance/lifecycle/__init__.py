"""The work of the units: one module per systemd unit, and what these share."""
