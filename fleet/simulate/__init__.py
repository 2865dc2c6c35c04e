"""Devices without cameras or models, many in one process, that speak and fetch as real ones do."""
