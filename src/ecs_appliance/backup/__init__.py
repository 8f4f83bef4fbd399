"""What is kept off the machine, how it gets there, and how it comes back."""
