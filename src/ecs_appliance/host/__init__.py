"""One thin adapter for each tool of the machine."""
