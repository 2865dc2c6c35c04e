"""Boards: what can be read about this hardware's health. One file per kind."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Protocol

from agent.boards.sysfs import text
from wire.health import Health
from wire.troubles import one_line

LONGEST_NAME = 100  # characters
# What makers of mainboards leave in the product's name.
EMPTY_NAMES = ("to be filled by", "default string", "system product name", "not applicable", "none")


class Board(Protocol):
    """What can be read is read at once and never raises; what cannot is None."""

    name: str  # for people: "Raspberry Pi 5 Model B Rev 1.0"

    def read(self) -> Health:
        """One reading. CPU shares are since the reading before."""


def open_board(state_folder: Path, root: Path = Path("/")) -> Board:
    """The board that this machine is, by its device tree.

    state_folder: whose file system is reported as the disk. root: where `proc`, `sys`, `etc`, `run`
    and `var` are looked for; another one than / is a recorded machine.
    """
    from agent.boards.generic import Generic
    from agent.boards.jetson import Jetson, open_jtop
    from agent.boards.raspberry import Raspberry

    model = _name(text(root / "proc/device-tree/model"))
    compatible = (text(root / "proc/device-tree/compatible") or "").split("\0")
    makers = {name.split(",")[0] for name in compatible}
    generic = Generic(model or _product(root) or platform.machine(), root, state_folder)
    if "raspberrypi" in makers:
        return Raspberry(generic, root)
    if any(name.startswith("nvidia,tegra") for name in compatible):
        return Jetson(generic, root, open_jtop)
    return generic


def _product(root: Path) -> str | None:
    """A PC's name, by its firmware."""
    name = _name(text(root / "sys/class/dmi/id/product_name"))
    return None if name is None or name.lower().startswith(EMPTY_NAMES) else name


def _name(content: str | None) -> str | None:
    """A name that may be shown: one line, of no great length; None if nothing is left."""
    words = (content or "").replace("\0", " ").split()
    return one_line(" ".join(words))[:LONGEST_NAME] or None
