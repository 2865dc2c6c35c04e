"""Knocks at doors for longer than the suite has time for: see scripts/fuzz."""
