"""`vedette doctor`: looks at this very machine, section by section, and knows what mends it."""
