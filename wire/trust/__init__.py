"""Trust in signed metadata: what is believed, kept and refused."""
