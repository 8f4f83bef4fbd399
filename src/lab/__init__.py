"""The laboratory, used only by demonstrations and tests: machines on this host, and the commands `demo` and `test`."""
