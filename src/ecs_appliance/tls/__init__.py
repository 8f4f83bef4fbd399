"""Who the site says it is, and whom it lets in: server certificates, ACME, the client CA as nginx has it."""
