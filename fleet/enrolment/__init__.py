"""Who belongs to the fleet: its own authority, the book of names, and the broker's files."""
