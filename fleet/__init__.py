"""The operator's side: what is typed at a desk to see and ask devices."""
