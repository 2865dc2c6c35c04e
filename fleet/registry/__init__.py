"""The registry: what the devices of a fleet have said, kept durably, and read in many ways."""
