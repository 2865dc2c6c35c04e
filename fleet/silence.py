"""Commands that tell in their own words what the broker refuses: the link's log is quiet then."""

from __future__ import annotations

import logging

LINK = "vedette.link"


def silence_link() -> None:
    """For this process, which is a command: until it ends."""
    logging.getLogger(LINK).setLevel(logging.ERROR)
