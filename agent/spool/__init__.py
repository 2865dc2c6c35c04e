"""What waits until the registry has stored it: telemetry and events on disk, within bounds."""
