"""The roles of the fleet's metadata: who signs what, and how it is written."""
