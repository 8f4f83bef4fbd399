"""What only the demonstration and the tests need: whole machines on this host, and the commands `demo` and `test`."""
