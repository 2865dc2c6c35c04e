"""The table of all doors, each with who stands before it. One that is made must be added here."""

from __future__ import annotations

from tests.fuzz import (
    agent_doors,
    disk_doors,
    far_doors,
    fleet_doors,
    head_doors,
    model_doors,
    sharing_doors,
    toml_doors,
    trust_doors,
    wire_doors,
)
from tests.fuzz.door import Door

DOORS: tuple[Door, ...] = (
    *wire_doors.DOORS,
    *model_doors.DOORS,
    *head_doors.DOORS,
    *toml_doors.DOORS,
    *trust_doors.DOORS,
    *agent_doors.DOORS,
    *disk_doors.DOORS,
    *fleet_doors.DOORS,
    *far_doors.DOORS,
    *sharing_doors.DOORS,
)
BY_NAME = {door.name: door for door in DOORS}
assert len(BY_NAME) == len(DOORS), "two doors of one name"
