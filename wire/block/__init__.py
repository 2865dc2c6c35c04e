"""Blocks: a file in pieces over MQTT; who asks, who serves, and what has come so far."""
