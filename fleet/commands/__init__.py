"""One file for each command that operators type."""
