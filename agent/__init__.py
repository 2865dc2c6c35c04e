"""The process between the broker and the runtimes: telemetry, health, commands."""
