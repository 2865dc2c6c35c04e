"""What each step cost: accuracy, agreement, latency, size and memory of several models."""
