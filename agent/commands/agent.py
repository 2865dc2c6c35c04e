"""`vedette agent`: joins the runtimes of this device to the broker, as a service."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from agent.agent import Agent
from agent.boards import open_board
from agent.clock import SystemClock
from agent.commander import Commander
from agent.inbox import Inbox, LocalReader
from agent.judging import judge_of
from agent.keeping import Keeping
from agent.parts import MakeLink, Parts
from agent.settings import Settings
from wire import fault, logs
from wire.accepted import InForce, accept, in_force
from wire.boot import boot_id
from wire.command_line import Parser
from wire.config import Broker
from wire.finding import Checked, count_of, in_words
from wire.folders import Folders, add_folder_options, folders_of
from wire.link import Link, MakeWill, Post
from wire.local import FromRuntime, Mailbox, agent_mailbox
from wire.mqtt.mqtt import MqttLink
from wire.pulse import Pulse, Watch
from wire.systemd import Notifier
from wire.troubles import Trouble, Unavailable

STATUS_S = 5.0
HUNG_S = 600.0  # of a thread that gets on every second, unless it looks up a name
MENDING_S_PER_MIB = 1.0  # a damaged spool moves to a new file before we are ready: a slow SD card

log = logging.getLogger("vedette.agent")


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    folders = folders_of(words)
    if words.check:
        return _check(folders, print_findings_as_json if words.json else print_findings)
    logs.log_to_stderr("info")
    fault.arm()
    signals = Signals(None if words.seconds is None else time.monotonic() + words.seconds)
    with Notifier() as notifier:
        judge = judge_of(folders)
        force = in_force(folders, judge=judge)
        waiting = _serve(folders, force, signals, notifier)
        while signals.reload and not signals.stop:
            signals.reload = False
            log.info("reading %s again", folders.config)
            notifier.watchdog()
            force = in_force(folders, force, judge)
            waiting = _serve(folders, force, signals, notifier)
    if words.json:
        print(json.dumps({"waiting": waiting}))
    return 0


def _check(folders: Folders, show: Callable[[Checked], None]) -> int:
    """0 if nothing is bad."""
    from agent.checking.check import check

    logging.getLogger("vedette").addHandler(logging.NullHandler())  # the findings say all
    checked = check(folders)
    show(checked)
    return 1 if count_of(checked.findings, "bad") else 0


def print_findings(checked: Checked) -> None:
    print("\n".join(in_words(checked.findings)).rstrip())


def print_findings_as_json(checked: Checked) -> None:
    print(msgspec.json.encode(checked).decode())


class Signals:
    """What signals ask for. A second signal to end leaves at once."""

    def __init__(self, end_s: float | None) -> None:
        """end_s: when to stop without being asked, by time.monotonic."""
        self.stop = False
        self.reload = False
        self.inbox: Inbox | None = None
        self._end_s = end_s
        signal.signal(signal.SIGTERM, self._hear_stop)
        signal.signal(signal.SIGINT, self._hear_stop)
        signal.signal(signal.SIGHUP, self._hear_reload)

    def is_over(self) -> bool:
        if self._end_s is not None and time.monotonic() >= self._end_s:
            self.stop = True
        return self.stop or self.reload

    def _hear_stop(self, number: int, _: object) -> None:
        if self.stop:
            os._exit(128 + number)
        self.stop = True
        self._wake()

    def _hear_reload(self, *_: object) -> None:
        self.reload = True
        self._wake()

    def _wake(self) -> None:
        if self.inbox is not None:
            self.inbox.wake()


def _serve(folders: Folders, force: InForce, signals: Signals, notifier: Notifier) -> int:
    """Run with one configuration until a signal. Returns how many records wait in the spool."""
    _make(folders.state)
    _make(folders.run)
    if force.refused is not None:
        log.error("%s", force.refused)
    notifier.extend_timeout(60.0 + force.config.telemetry.spool_mib * MENDING_S_PER_MIB)
    with ExitStack() as stack:
        parts = _open_parts(folders, force, stack)
        signals.inbox = parts.inbox
        agent = Agent(parts)
        reading = parts.watch.pulse("local", HUNG_S)
        stack.callback(LocalReader(parts.mailbox, parts.inbox, reading).close)
        agent.open()
        stack.callback(agent.close)
        _keep(folders, force)
        notifier.ready(agent.status())
        _turn(agent, parts.mailbox, signals, notifier)
        if signals.stop:
            signals.reload = False
            notifier.stopping("saying goodbye")
    return parts.keeping.waiting


def _open_parts(folders: Folders, force: InForce, stack: ExitStack) -> Parts:
    clock, watch = SystemClock(), Watch()
    keeping = Keeping(folders.state, force.config.telemetry, clock)
    stack.callback(keeping.close)
    mailbox = agent_mailbox(folders.run)
    stack.callback(mailbox.close)
    return Parts(
        config=force.config,
        refused=force.refused,
        folders=folders,
        boot=boot_id(),
        clock=clock,
        board=open_board(folders.state),
        keeping=keeping,
        settings=Settings(folders.state, force.config),
        commander=Commander(folders.state, force.config, clock.wall_s()),
        mailbox=mailbox,
        inbox=Inbox(),
        make_link=_link_to(force.config.broker, watch.pulse("mqtt", HUNG_S)),
        set_log_level=logs.set_level,
        watch=watch,
    )


def _turn(
    agent: Agent, mailbox: Mailbox[FromRuntime], signals: Signals, notifier: Notifier
) -> None:
    said_s = time.monotonic()
    while not signals.is_over():
        agent.step()
        now_s = time.monotonic()
        if notifier.due(now_s):
            notifier.watchdog()
        if now_s - said_s > STATUS_S:
            notifier.status(agent.status())
            said_s = now_s
            if _is_gone(mailbox.path):
                log.warning("%s was taken away: opening all anew", mailbox.path)
                signals.reload = True


def _is_gone(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return True
    except OSError:  # opening it anew would not help
        return False
    return False


def _link_to(broker: Broker, pulse: Pulse) -> MakeLink:
    def make(client_id: str, post: Post, will: MakeWill) -> Link:
        return MqttLink(broker, client_id, post, will, pulse=pulse)

    return make


def _keep(folders: Folders, force: InForce) -> None:
    """What runs is what a later start can fall back to."""
    if force.refused is None:
        try:
            accept(folders, force.text)
        except Trouble as trouble:
            log.warning("the accepted configuration is not kept: %s", trouble)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            f"{folder}: cannot be made: {error.strerror}: run as the user of the service, or name "
            "others with --state and --run"
        ) from None


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette agent",
        description="Join the runtimes of this device to the broker: telemetry, health, results, "
        "commands. SIGHUP reads the configuration again; one that is refused changes nothing.",
    )
    add_folder_options(parser)
    parser.add_argument("--seconds", type=float, metavar="S", help="stop after S seconds")
    parser.add_argument(
        "--check", action="store_true",
        help="run nothing: look at broker, spool, trust, clock, disk and power, and say what is "
        "wrong; a running agent is not disturbed",
    )  # fmt: skip
    parser.add_argument(
        "--json", action="store_true", help="say at the end what waits, or was found, as JSON"
    )
    return parser
