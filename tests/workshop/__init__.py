"""What needs the heavy frameworks of the extra `workshop`."""
