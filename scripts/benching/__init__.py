"""What scripts/bench measures: one file for each section of docs/performance.md."""
