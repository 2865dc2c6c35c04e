"""Who may look at a fleet and act on it: accounts, sessions, tokens and the audit trail."""
