"""What clients meet at port 443: all these tests share one change of the site, which is undone at the end."""
