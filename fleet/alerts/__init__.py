"""Alerts: what lasts and is wrong is told to people, once, wherever they are."""
