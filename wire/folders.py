"""Where a device's processes find each other: configuration, state and run folder, as options."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

CONFIG = Path("/etc/vedette/vedette.toml")
STATE = Path("/var/lib/vedette")
RUN = Path("/run/vedette")


@dataclass(frozen=True)
class Folders:
    """config: the file vedette.toml. state: what outlives a reboot. run: the sockets."""

    config: Path
    state: Path
    run: Path


def add_folder_options(parser: argparse.ArgumentParser) -> None:
    """--config, --state and --run; systemd names the last two by environment."""
    parser.add_argument(
        "--config", type=Path, default=CONFIG, metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument(
        "--state", type=Path, metavar="FOLDER",
        default=Path(os.environ.get("STATE_DIRECTORY") or STATE),
        help="what must outlive a reboot (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--run", type=Path, metavar="FOLDER",
        default=Path(os.environ.get("RUNTIME_DIRECTORY") or RUN),
        help="the sockets between agent and runtimes (default: %(default)s)",
    )  # fmt: skip


def folders_of(words: argparse.Namespace) -> Folders:
    return Folders(words.config.absolute(), words.state.absolute(), words.run.absolute())
