"""What can be wrong, one check a file, and the list of them."""
