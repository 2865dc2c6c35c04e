"""`vedette ask DEVICE VERB`: command one device and show its answer."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fleet import answers, pictures
from fleet.ask_words import PATIENCE_S, USES, order_of
from fleet.asking import MakeLink, ask, new_command
from fleet.flags import add_broker_options, where_of
from fleet.folder import TOML, default_folder, open_fleet
from fleet.wording import printable
from wire import topics
from wire.backoff import Backoff
from wire.command_line import Parser
from wire.config import Broker
from wire.link import Link, Post
from wire.mqtt.mqtt import MqttLink
from wire.orders import Order, Snapshot
from wire.signing import SigningKey, load_key, make_key
from wire.troubles import Refused, Unavailable, one_line

KEY_VARIABLE = "VEDETTE_COMMAND_KEY"
REFUSED = 2  # the device says no
AGAIN_S = 2.0  # somebody waits for it: between two attempts to reach the broker, at most

VERBS = """\
verbs:
  status                          what the device is and does
  snapshot [PIPELINE]             the newest frame with what was found in it, as a file
  restart [PIPELINE]              end the pipeline's process; systemd starts it again
  watch [MINUTES]                 telemetry every 10 s for 1 to 60 minutes (default: 5)
  set [PIPELINE] KEY=VALUE...     results=off|change|every   results_per_s=0.01..30
                                  min_score=0..1   telemetry_period_s=10..3600
                                  log_level=debug|info|warning|error
                                  KEY=default: as vedette.toml says; kept over restarts
  bench [PIPELINE]                measure the model beside the live loop (50 to 2000 frames)

PIPELINE may be left out where the device has one only.
exit code: 0 done, 1 no answer, 2 refused by the device or mistyped
"""


def main(argv: Sequence[str]) -> int:
    words = parser().parse_intermixed_args(argv)
    if words.new_key is not None:
        return _make_key(words)
    if len(words.words) < 2:
        raise Refused(f"say which device and what: DEVICE VERB, VERB one of {', '.join(USES)}")
    device, verb, *arguments = words.words
    topics.checked(device)
    if words.fleet is not None:
        topics.checked(words.fleet)
    order = order_of(verb, arguments, words.frames)
    if isinstance(order, Snapshot):
        pictures.check_place(words.output)
    elif words.output is not None:
        raise Refused(f"--output is for snapshot, not for {verb}")
    return _ask(words, device, order, _key_of(words))


def _ask(words: argparse.Namespace, device: str, order: Order, key: SigningKey) -> int:
    timeout_s: float = words.timeout or PATIENCE_S[type(order)]
    where = where_of(words)
    command = new_command(where.fleet, device, order, time.time(), timeout_s)
    answer = ask(_link_to(where.broker), command, key, timeout_s, _note)
    reply, path = answer.reply, None
    if isinstance(order, Snapshot) and answer.picture is not None:
        path = pictures.save(answer.picture, device, order, words.output, time.time())
    if words.json:
        print(answers.as_json(reply, None if path is None else str(path)))
    elif not reply.ok:
        print(f"vedette: {device} says no: {printable(reply.text, 1000)}", file=sys.stderr)
    elif path is not None and answer.picture is not None:
        print(f"{path}: {len(answer.picture) / 1000:,.0f} kB: {printable(reply.text, 300)}")
    else:
        print(answers.in_words(device, reply))
    return 0 if reply.ok else REFUSED


def _make_key(words: argparse.Namespace) -> int:
    if words.words:
        raise Refused("--new-key FILE stands alone: ask the device afterwards")
    key = make_key(words.new_key)
    line = f'keys = ["{key.public}"]'
    if words.json:
        print(json.dumps({"file": str(words.new_key), "public": key.public, "line": line}))
        return 0
    print(f"{words.new_key}: the private key: keep it, and show it to nobody")
    print(f"public key: {key.public}")
    print(f"for vedette.toml of every device that shall obey it:\n\n[commands]\n{line}")
    return 0


def _key_of(words: argparse.Namespace) -> SigningKey:
    """The key that signs. Raises Refused, Unavailable."""
    named = words.key or os.environ.get(KEY_VARIABLE)
    if not named:
        raise Refused(f"commands are signed: {_which_key(words)}")
    path = Path(named)
    key = load_key(path)
    try:
        if path.stat().st_mode & 0o077:
            _note(f"others may read or change {path}: chmod 600 {path}")
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read: {error.strerror}") from None
    return key


def _which_key(words: argparse.Namespace) -> str:
    """What to type: the fleet's own key where its folder is here, since its devices obey that."""
    folder = default_folder()
    is_meant = words.broker is None and words.fleet is None
    if is_meant and (folder / TOML).exists():
        ours = open_fleet(folder).command_key
        if ours.exists():
            key = shlex.quote(str(folder / ours.relative_to(folder.absolute())))
            return f"the key of this fleet is here: --key {key}, or {KEY_VARIABLE}"
    return (
        f"name the key that the device obeys by --key FILE or {KEY_VARIABLE}; a new one (vedette "
        "ask --new-key FILE) is obeyed once the device's vedette.toml names it"
    )


def _link_to(broker: Broker) -> MakeLink:
    def make(client_id: str, post: Post) -> Link:
        return MqttLink(broker, client_id, post, backoff=Backoff(most_s=AGAIN_S))

    return make


def _note(text: str) -> None:
    print(f"vedette: {one_line(text)}", file=sys.stderr, flush=True)


def seconds(text: str) -> float:
    """A time to wait, of 1 s to 1 h."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is not within 1 to 3600")
    return value


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette ask",
        usage="vedette ask DEVICE VERB [ARG...] --key FILE [options]\n"
        "       vedette ask --new-key FILE",
        description="Send one signed command to a device and show its answer.",
        epilog=VERBS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="DEVICE VERB [ARG...]", help="see verbs")
    parser.add_argument(
        "--key", type=Path, metavar="FILE",
        help=f"the private key that signs (default: the file that {KEY_VARIABLE} names)",
    )  # fmt: skip
    parser.add_argument(
        "--new-key", type=Path, metavar="FILE",
        help="make a key in a new file, and print what devices must know of it",
    )  # fmt: skip
    add_broker_options(parser)
    parser.add_argument("--timeout", type=seconds, metavar="S", help="wait so long for the answer")
    parser.add_argument(
        "--output", type=Path, metavar="FILE",
        help="where a snapshot is saved, also over another file (default: "
        "DEVICE-PIPELINE-TIME.jpg in this folder, DEVICE-TIME.jpg without PIPELINE)",
    )  # fmt: skip
    parser.add_argument("--frames", type=int, metavar="N", help="of a bench (default: 300)")
    parser.add_argument("--json", action="store_true", help="print the reply as one JSON object")
    return parser
