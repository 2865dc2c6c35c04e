"""The configuration in force: the file on disk, or the last one that was accepted.

The agent accepts: it keeps a copy in the state folder. A runtime only reads.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wire import config
from wire.config import Config
from wire.durable import writing_durably
from wire.folders import Folders
from wire.troubles import Trouble, Unavailable
from wire.typed_toml import LARGEST

FILE_NAME = "accepted.toml"
MODE = 0o600  # a camera's URI may hold a password

Judge = Callable[[Config, str], None]  # takes a configuration and its text

_SEAL = re.compile(r"\n# sha256 ([0-9a-f]{64})\n\Z")


@dataclass(frozen=True)
class InForce:
    """refused: why it is not the file on disk, or None. text: what the configuration was read
    from; give it to `accept` when the process runs with it."""

    config: Config
    refused: str | None
    text: str


def anything(meant: Config, text: str) -> None:
    """Judges nothing."""


def in_force(folders: Folders, running: InForce | None = None, judge: Judge = anything) -> InForce:
    """What to run with. running: what this process runs with already, which goes before the copy:
    that may not have found room. judge: raises Refused for what this process knows to be
    impossible; asked where there is another configuration to go on with. Raises the file's own
    trouble (Refused, or Unavailable where it is not there) only if nothing runs and there is no
    accepted copy that is whole."""
    copy = (running.config, running.text) if running else _copy(folders.state / FILE_NAME)
    try:
        text = config.read(folders.config)
        meant = config.parse(text, str(folders.config))
        if copy is not None and text != copy[1]:
            judge(meant, text)
        return InForce(meant, None, text)
    except Trouble as trouble:
        if copy is None:
            raise
        return InForce(copy[0], f"{trouble}; the last accepted one stays in force", copy[1])


def accept(folders: Folders, text: str) -> None:
    """Keep a text that works, for the day when the file on disk does not. Raises Refused if it is
    no configuration, Unavailable if it cannot be written. Writes nothing that is there already.
    Only its owner can read it, whoever can read the file on disk."""
    config.parse(text, str(folders.config))
    path = folders.state / FILE_NAME
    content = f"{text}\n# sha256 {_digest(text)}\n".encode()
    try:
        if path.is_file() and path.read_bytes() == content:
            if path.stat().st_mode & 0o077:  # an earlier version's
                path.chmod(MODE)
            return
        with writing_durably(path, MODE) as file:
            file.write(content)
    except OSError as error:
        raise Unavailable(f"{path}: cannot be written: {error.strerror}") from None


def _copy(path: Path) -> tuple[Config, str] | None:
    """The accepted configuration and its text. None where there is none, or a damaged one, or one
    that this version does not understand."""
    try:
        with open(path, "rb") as file:
            content = file.read(2 * LARGEST).decode()
        seal = _SEAL.search(content)
        if seal is None:
            return None
        text = content[: seal.start()]
        return (config.parse(text, str(path)), text) if seal[1] == _digest(text) else None
    except (Trouble, OSError, UnicodeDecodeError):
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
