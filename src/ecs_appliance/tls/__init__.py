"""Server certificates, ACME, and the client CA as nginx uses it."""
