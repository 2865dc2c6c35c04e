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
        "--config", type=named_path, default=CONFIG, metavar="FILE", help="default: %(default)s"
    )
    parser.add_argument(
        "--state", type=named_path, metavar="FOLDER",
        default=_from_systemd("STATE_DIRECTORY", STATE),
        help="what must outlive a reboot (default: %(default)s)",
    )  # fmt: skip
    add_run_option(parser, "the sockets between agent and runtimes")


def add_run_option(parser: argparse.ArgumentParser, what: str) -> None:
    """--run alone. what: for the help."""
    parser.add_argument(
        "--run", type=named_path, metavar="FOLDER", default=usual_run_folder(),
        help=f"{what} (default: %(default)s)",
    )  # fmt: skip


def usual_run_folder() -> Path:
    """Where the sockets are, unless somebody says otherwise."""
    return _from_systemd("RUNTIME_DIRECTORY", RUN)


def folders_of(words: argparse.Namespace) -> Folders:
    return Folders(words.config.absolute(), words.state.absolute(), words.run.absolute())


def named_path(text: str) -> Path:
    """A path as an option gives it. An empty one, of a variable that is not set, would be the
    current folder. Raises ArgumentTypeError."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: name a path, or leave the option away")
    return Path(text)


def _from_systemd(variable: str, default: Path) -> Path:
    """The first folder that the unit has: systemd puts a colon between several."""
    return Path(next(filter(None, os.environ.get(variable, "").split(":")), default))
