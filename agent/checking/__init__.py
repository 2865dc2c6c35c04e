"""`vedette agent --check`: what keeps this device from being heard, found out without an agent."""
