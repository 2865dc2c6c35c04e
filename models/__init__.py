"""A model at rest: its manifest, its bundle, its place on disk. A leaf: imports wire only."""
