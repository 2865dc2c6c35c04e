"""What a power cut leaves of an update, and what a failing disk does to it."""
