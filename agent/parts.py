"""What an agent is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from agent.boards import Board
from agent.clock import Clock
from agent.commander import Commander
from agent.inbox import Inbox
from agent.keeping import Keeping
from agent.settings import Settings
from wire.config import Config
from wire.folders import Folders
from wire.link import Link, MakeWill, Post
from wire.local import FromRuntime, Mailbox
from wire.messages import LogLevel
from wire.pulse import Watch

MakeLink = Callable[[str, Post, MakeWill], Link]


@dataclass(frozen=True)
class Parts:
    """What an agent is made of. All is opened before and closed after by the caller.

    refused: why the configuration on disk is not the one in force, or None. watch: over threads.
    """

    config: Config
    refused: str | None
    folders: Folders
    boot: str
    clock: Clock
    board: Board
    keeping: Keeping
    settings: Settings
    commander: Commander
    mailbox: Mailbox[FromRuntime]
    inbox: Inbox
    make_link: MakeLink
    set_log_level: Callable[[LogLevel], None]
    watch: Watch = field(default_factory=Watch)
