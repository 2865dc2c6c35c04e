"""What thieves, liars and floods try: each attack a test of that name. The list is in table.py."""
