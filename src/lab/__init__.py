"""What only the demonstration and the tests need: machines on this host, and the commands `demo` and `test`."""
