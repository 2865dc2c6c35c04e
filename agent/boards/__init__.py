"""Boards: what can be read about this hardware's health. One file per kind."""

from __future__ import annotations

from typing import Protocol

from wire.health import Health


class Board(Protocol):
    """What can be read is read at once and never raises; what cannot is None."""

    name: str  # for people: "Raspberry Pi 5 Model B Rev 1.0"

    def read(self) -> Health:
        """One reading. CPU shares are since the reading before."""
