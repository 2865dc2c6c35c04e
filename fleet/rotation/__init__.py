"""Keys that come and go: the root that says so, and everything that must be signed again."""
