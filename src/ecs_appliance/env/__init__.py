"""env.yml: model, check, sources, creation. Runs on any laptop, imports nothing of the host."""
