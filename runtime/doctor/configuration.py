"""vedette.toml: accepted or refused, and what of it is amiss on this machine."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

from runtime.first_root import described
from runtime.foresight import impossible, warnings
from wire import config, mends
from wire.accepted import in_force
from wire.complaints import refusal
from wire.config import Config
from wire.finding import Finding, Level
from wire.folders import CONFIG, Folders
from wire.troubles import Refused, Trouble

UNITS = tuple(  # where one of these is, somebody meant this to be a device
    Path(folder) / "vedette-agent.service"
    for folder in ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
)
COMMAND = re.compile(r": ((?:chmod|chgrp|chown) .+)$")


@dataclass(frozen=True)
class Read:
    """config: what is in force, None where nothing is. is_device: whether this machine is meant to
    be one."""

    config: Config | None
    is_device: bool
    findings: tuple[Finding, ...]


def read(folders: Folders) -> Read:
    """Judge the file; where it is refused, what was accepted last is in force."""
    file = str(folders.config)
    try:
        text = config.read(folders.config)
        meant = config.parse(text, file)
        for key, what in impossible(meant):
            raise refusal(file, text, key, what)
    except Trouble as trouble:
        return _not_read(folders, trouble)
    fine = f"accepted: {meant.device} of fleet {meant.fleet}, {_pipelines(meant)}"
    found = [Finding("configuration", "ok", file, fine)]
    found += [_amiss(warning, folders.config) for warning in warnings(meant)]
    if meant.updates.root is not None and "(" in described(meant.updates.root):
        says = described(meant.updates.root)
        found.append(Finding("configuration", "ok", "updates.root", says))
    return Read(meant, True, tuple(found))


def _not_read(folders: Folders, trouble: Trouble) -> Read:
    file = str(folders.config)
    is_meant = folders.config != CONFIG or any(path.exists() for path in UNITS)
    if not is_meant and not _is_there(folders.config):
        says = f"this machine is no device of a fleet yet: there is no {file}"
        return Read(None, False, (_enroll(says, "warning"),))
    force: Config | None = None
    with contextlib.suppress(Trouble):
        force = in_force(folders).config
    says = str(trouble) + ("; the last accepted one stays in force" if force else "")
    if isinstance(trouble, Refused):
        found = Finding("configuration", "bad", file, says, mends.edit(folders.config))
        return Read(force, True, (found,))
    if _is_there(folders.config):
        found = Finding("configuration", "bad", file, says, "sudo vedette doctor")
        return Read(force, True, (found,))
    return Read(force, True, (_enroll(says, "bad"),))


def _is_there(file: Path) -> bool:
    try:
        file.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _enroll(says: str, level: Level) -> Finding:
    return Finding("configuration", level, "", says, mends.enroll())


def _pipelines(meant: Config) -> str:
    names = ", ".join(meant.pipeline)
    return f"pipeline{'s'[: len(meant.pipeline) != 1]} {names}" if names else "no pipeline"


def _amiss(warning: str, file: Path) -> Finding:
    """A warning of check-config; some name the command themselves."""
    key, _, says = warning.partition(": ")
    named = COMMAND.search(says)
    if named is None:
        return Finding("configuration", "warning", key, says, mends.edit(file))
    mend = " && ".join(f"sudo {one}" for one in named[1].split("; "))
    return Finding("configuration", "warning", key, says[: named.start()], mend)
