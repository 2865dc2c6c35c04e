"""Recorded machines, and how to unpack them."""
