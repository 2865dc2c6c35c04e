"""`vedette agent`: joins the runtimes of this device to the broker, as a service."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

from agent.agent import Agent, Parts
from agent.boards import open_board
from agent.clock import SystemClock, boot_id
from agent.commander import Commander
from agent.inbox import Inbox, LocalReader
from agent.keeping import Keeping
from agent.settings import Settings
from wire.accepted import accept, in_force
from wire.config import Config
from wire.folders import Folders, add_folder_options, folders_of
from wire.link import Link, MakeWill, Post
from wire.local import agent_mailbox
from wire.mqtt import MqttLink
from wire.systemd import Notifier
from wire.troubles import Unavailable

STATUS_S = 5.0

log = logging.getLogger("vedette.agent")


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    folders = folders_of(words)
    _log_to_stderr()
    wishes = _Wishes(None if words.seconds is None else time.monotonic() + words.seconds)
    notifier = Notifier.from_environment()
    while True:
        waiting = _serve(folders, wishes, notifier)
        if not wishes.reload:
            break
        wishes.reload = False
        log.info("reading %s again", folders.config)
    notifier.stopping()
    if words.json:
        print(json.dumps({"waiting": waiting}))
    return 0


class _Wishes:
    """What signals ask for. A second signal to end leaves at once."""

    def __init__(self, end_s: float | None) -> None:
        self.stop = False
        self.reload = False
        self._end_s = end_s
        self.inbox: Inbox | None = None
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        signal.signal(signal.SIGHUP, self._reload)

    def over(self) -> bool:
        if self._end_s is not None and time.monotonic() >= self._end_s:
            self.stop = True
        return self.stop or self.reload

    def _stop(self, number: int, _: object) -> None:
        if self.stop:
            os._exit(128 + number)
        self.stop = True
        self._wake()

    def _reload(self, *_: object) -> None:
        self.reload = True
        self._wake()

    def _wake(self) -> None:
        if self.inbox is not None:
            self.inbox.wake()


def _serve(folders: Folders, wishes: _Wishes, notifier: Notifier) -> int:
    """Run with one configuration until a signal. Returns how many records wait in the spool."""
    _make(folders)
    force = in_force(folders)
    clock = SystemClock()
    with ExitStack() as stack:
        keeping = Keeping(folders.state, force.config.telemetry, clock)
        stack.callback(keeping.close)
        mailbox = agent_mailbox(folders.run)
        stack.callback(mailbox.close)
        settings = Settings(folders.state, force.config)
        inbox = wishes.inbox = Inbox()
        agent = Agent(
            Parts(
                config=force.config,
                refused=force.refused,
                folders=folders,
                boot=boot_id(),
                clock=clock,
                board=open_board(folders.state),
                keeping=keeping,
                settings=settings,
                commander=Commander(folders.state, force.config),
                mailbox=mailbox,
                inbox=inbox,
                make_link=_link_to(force.config),
            )
        )
        if force.refused is None:
            accept(folders)
        stack.callback(LocalReader(mailbox, inbox).close)
        agent.open()
        stack.callback(agent.close)
        notifier.ready(agent.status())
        _turn(agent, wishes, notifier)
    return keeping.waiting


def _turn(agent: Agent, wishes: _Wishes, notifier: Notifier) -> None:
    said_s = time.monotonic()
    while not wishes.over():
        agent.step()
        now_s = time.monotonic()
        if notifier.due(now_s):
            notifier.watchdog()
        if now_s - said_s > STATUS_S:
            notifier.status(agent.status())
            said_s = now_s


def _link_to(config: Config) -> ...:
    def make(client_id: str, post: Post, will: MakeWill) -> Link:
        return MqttLink(config.broker, client_id, post, will)

    return make


def _make(folders: Folders) -> None:
    for folder in (folders.state, folders.run):
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"{folder}: cannot be made: {error.strerror}") from None


def _log_to_stderr() -> None:
    """journald reads the level from <N>; a person at a terminal reads the word."""
    is_journal = "JOURNAL_STREAM" in os.environ
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(is_journal))
    log.handlers = [handler]
    log.setLevel(logging.INFO)


class _Lines(logging.Formatter):
    """One line for each record."""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vedette agent",
        description="Join the runtimes of this device to the broker: telemetry, health, results, "
        "commands. SIGHUP reads the configuration again; one that is refused changes nothing.",
    )
    add_folder_options(parser)
    parser.add_argument("--seconds", type=float, metavar="S", help="stop after S seconds")
    parser.add_argument("--json", action="store_true", help="say at the end what waits, as JSON")
    return parser
