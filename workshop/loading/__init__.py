"""How a model holds up as frame rate, pipelines and threads rise."""
