"""Everything one process says to another. A leaf: imports nothing of ours."""
