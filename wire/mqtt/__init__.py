"""The link over MQTT: one connection, kept."""
