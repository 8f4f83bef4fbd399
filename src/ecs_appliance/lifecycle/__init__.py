"""One module a unit: what systemd starts."""
