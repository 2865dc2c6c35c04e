"""What `vedette doctor` says of one thing on this machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Probe:
    """Whether one camera or engine works here. reason: what it is, or why not and what to do."""

    name: str
    works: bool
    reason: str
