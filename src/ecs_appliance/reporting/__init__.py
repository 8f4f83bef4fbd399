"""What is told to people: the status page."""
