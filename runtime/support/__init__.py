"""`vedette support`: a bundle for a bug report, without secrets."""
