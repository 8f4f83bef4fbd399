"""What can be wrong, one check per file, and the list of them."""
