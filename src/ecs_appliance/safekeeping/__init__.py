"""env.yml kept where no machine can lose it: on paper, on a disc, encrypted with those who may open it."""
