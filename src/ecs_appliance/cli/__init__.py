"""Arguments to typed calls. The only place that exits or prints a traceback."""
