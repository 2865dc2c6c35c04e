"""Every parser that a stranger can reach, tried with bytes that nobody meant."""
