"""All that the agent's part looks at, in one go."""

from __future__ import annotations

from collections.abc import Iterator

from agent.boards import open_board
from agent.checking.board import is_clock_right, look_at_clock, look_at_power
from agent.checking.broker import look_at_broker
from agent.checking.spool import look_at_spool
from agent.checking.state import look_at_state
from agent.checking.trust import look_at_trust
from wire.accepted import in_force
from wire.finding import Checked, Finding
from wire.folders import Folders
from wire.health import Health
from wire.troubles import Trouble


def check(folders: Folders) -> Checked:
    """Look at everything. Where no configuration can be had, what needs one is left out."""
    board = open_board(folders.state)
    health = board.read()
    return Checked(board.name, health, tuple(_findings(folders, health)))


def _findings(folders: Folders, health: Health) -> Iterator[Finding]:
    try:
        config = in_force(folders).config
    except Trouble as trouble:
        yield Finding("configuration", "bad", "", str(trouble))
    else:
        right = is_clock_right(health)
        yield from look_at_broker(config, folders, right)
        yield from look_at_spool(folders.state, config.telemetry)
        yield from look_at_trust(config, folders.state, right)
    yield from look_at_clock(health)
    yield from look_at_state(folders.state)
    yield from look_at_power(health)
