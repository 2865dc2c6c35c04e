"""All that the agent's part looks at, in one go."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator

from agent.boards import open_board
from agent.checking.board import is_clock_right, look_at_clock, look_at_power
from agent.checking.broker import look_at_broker
from agent.checking.spool import look_at_spool
from agent.checking.state import look_at_state
from agent.checking.trust import look_at_trust
from wire import mends
from wire.accepted import in_force
from wire.finding import Checked, Finding, Section, look_at_proc
from wire.folders import Folders
from wire.health import Health
from wire.troubles import Trouble


def check(folders: Folders) -> Checked:
    """Look at everything. Where no configuration can be had, what needs one is left out."""
    if blind := tuple(look_at_proc()):
        return Checked("", Health(), blind)
    board = open_board(folders.state)
    health = board.read()
    return Checked(board.name, health, tuple(_findings(folders, health)))


def _findings(folders: Folders, health: Health) -> Iterator[Finding]:
    try:
        config = in_force(folders).config
    except Trouble as trouble:
        is_missing = not os.path.lexists(folders.config)
        mend = mends.enroll() if is_missing else None
        yield Finding("configuration", "bad", "", str(trouble), mend)
    else:
        right = is_clock_right(health)
        yield from _tried("broker", look_at_broker(config, folders, right))
        yield from _tried("spool", look_at_spool(folders.state, config.telemetry, folders.run))
        yield from _tried("trust", look_at_trust(config, folders.state, right))
    yield from look_at_clock(health)
    yield from _tried("disk", look_at_state(folders.state))
    yield from look_at_power(health)


def _tried(section: Section, found: Iterator[Finding]) -> Iterator[Finding]:
    """What one section finds; what it may not look at, or cannot, costs no other."""
    try:
        yield from found
    except OSError as error:
        about = "" if error.filename is None else str(error.filename)
        says = f"it cannot be looked at: {error.strerror}"
        if isinstance(error, PermissionError) and not _is_service():
            yield Finding(section, "warning", about, says, "sudo vedette doctor")
        else:
            yield Finding(section, "bad", about, says)


def _is_service() -> bool:
    """Whether we are the user to whom all of it must be open."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name == mends.USER
    except KeyError:
        return False
