"""Ingest: takes what devices say from the broker into the registry, and acknowledges it."""
