"""The fleet as it is now, in memory: what a page shows of it, searched, sorted and summed up."""
