"""One camera for several pipelines: its owner's process lends frames to the others, uncopied."""
