"""The command line: turn arguments into typed calls. Only this package exits or logs a traceback."""
