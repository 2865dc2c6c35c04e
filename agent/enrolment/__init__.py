"""A device becomes part of a fleet: from the file NAME.vedette to what lies in /etc/vedette."""
