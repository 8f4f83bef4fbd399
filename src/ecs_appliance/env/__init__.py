"""env.yml: model, checks, sources, creation. Runs on any laptop, imports nothing from host."""
