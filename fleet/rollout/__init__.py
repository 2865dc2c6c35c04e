"""Deployments: what is asked for, what it means, and how far the devices are."""
