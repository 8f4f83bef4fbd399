"""What everything else stands on: processes, files, paths, locks, errors. Imports nothing of the project."""
