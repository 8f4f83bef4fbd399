"""What the world meets at port 443: one change of the site for all of these tests, taken back at the end."""
