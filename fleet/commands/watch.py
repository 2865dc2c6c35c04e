"""`vedette watch`: see what the devices of a fleet say, as it arrives."""

from __future__ import annotations

import argparse
import math
import secrets
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack

from fleet.devices import Fleet
from fleet.flags import Where, add_broker_options, seconds, where_of
from fleet.screens import JsonLines, is_terminal, open_screen
from fleet.watching import Watching
from wire import topics
from wire.command_line import Parser
from wire.troubles import Refused, forget_output

STEP_S = 0.1
KINDS = ("presence", "state", "telemetry", "event", "reply")


def main(argv: Sequence[str]) -> int:
    """0: watched until told to end. 1: the broker was not reached in all the time."""
    words = parser().parse_args(argv)
    if sys.stdout is None:
        raise Refused("standard output is closed: there is nowhere to show anything")
    where = where_of(words)
    patterns = [topics.from_devices(where.fleet, kind, words.device) for kind in kinds(words)]
    try:
        return watch(words, where, patterns)
    except BrokenPipeError:  # `| head` has seen enough
        forget_output()
        return 0


def kinds(words: argparse.Namespace) -> Sequence[str]:
    """What is asked for from the broker. Results may be many: only where somebody sees them."""
    in_depth = words.device is not None and not words.json and is_terminal(sys.stdout)
    return (*KINDS, "result") if words.results or in_depth else KINDS


def watch(words: argparse.Namespace, where: Where, patterns: Sequence[str]) -> int:
    from wire.mqtt.mqtt import MqttLink

    broker = where.broker
    client_id = f"watch-{secrets.token_hex(8)}"  # 22 characters: every broker takes 23
    link = MqttLink(broker, client_id, lambda event: watching.post(event))
    stop = stop_on_signals()
    end_s = time.monotonic() + (words.seconds or math.inf)
    with ExitStack() as stack:
        screen = JsonLines(sys.stdout) if words.json else open_screen(sys.stdout, words.device)
        stack.callback(screen.close)
        watching = Watching(Fleet(where.fleet), screen, broker.url)
        for pattern in patterns:
            link.subscribe(pattern)
        stack.callback(link.close)
        stack.callback(watching.close)
        link.open()
        while not stop.is_set() and watching.step(STEP_S):
            if time.monotonic() >= end_s:
                return 0 if watching.was_connected else 1
    return 0


def stop_on_signals() -> threading.Event:
    """SIGTERM and SIGINT ask for an end; a second one ends at once."""
    stop = threading.Event()

    def ask(number: int, _: object) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, ask)
    return stop


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette watch",
        description="See what the devices of a fleet say, as it arrives: a live table in a "
        "terminal, the devices that need somebody first; else one line for each message. Devices "
        "send telemetry once a minute: `vedette ask DEVICE watch` makes that every 10 s for some "
        "minutes. Ctrl-C ends.",
    )
    parser.add_argument("--device", metavar="NAME", help="only this one, in depth")
    parser.add_argument("--results", action="store_true", help="what models find, too")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="stop after S seconds")
    parser.add_argument(
        "--json", action="store_true", help="a JSON object on a line of its own for each message"
    )
    add_broker_options(parser)
    return parser
