"""`vedette fleet init`: make a fleet's keys and first signed metadata, and say what goes where."""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Sequence

from fleet import founding
from fleet.folder import DEFAULT, FleetFolder, add_dir_option
from fleet.founding import Founding
from fleet.passphrase import Passphrases, add_passphrase_option
from wire import topics
from wire.command_line import Parser
from wire.mqtt.url import address_of
from wire.troubles import Refused

_PLAIN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+\Z")  # what TOML takes between quotes as it is


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    topics.checked(words.name)
    address_of(words.broker)
    if not _PLAIN.match(words.broker):
        raise Refused(f"--broker {words.broker}: not an address")
    wish = Founding(
        words.name, words.broker, words.root_keys, words.root_threshold,
        words.release_keys, words.release_threshold,
    )  # fmt: skip
    founding.check(words.dir, wish, time.time())
    phrase = Passphrases(words.passphrase_file).for_new_keys()
    fleet = founding.found(words.dir, wish, phrase, time.time())
    print(_as_json(fleet) if words.json else _in_words(fleet))
    return 0


def _in_words(fleet: FleetFolder) -> str:
    keys = [*fleet.key_files("root"), *fleet.key_files("release")]
    return f"""\
{fleet.path}: the fleet {fleet.name}

keep offline, each in two places, and the passphrase apart from them:
{chr(10).join(f"  {path}" for path in keys)}
keep to yourself, or give to your CI; it signs commands and deployments:
  {fleet.command_key}
for the machine that runs `vedette fleet serve` or `depot` (nothing else of this folder):
  {fleet.path / "fleet.toml"}
  {fleet.depot}
  {fleet.access}   once `fleet broker` has made it
for every device, in the file that `vedette fleet enroll` makes:
  {fleet.root}

next: vedette fleet broker{_where(fleet)}
then, for each device: vedette fleet enroll NAME
"""


def _where(fleet: FleetFolder) -> str:
    """What `fleet broker` has to be told, where the address is not one that devices can use."""
    address = address_of(fleet.broker.url)
    options = "" if fleet.path.name == DEFAULT else f" --dir {fleet.path}"
    if address.encrypted and address.host not in ("localhost", "127.0.0.1", "::1"):
        return options
    return f"{options} --url mqtts://HOST   (HOST: where devices find the broker)"


def _as_json(fleet: FleetFolder) -> str:
    files = {
        "folder": str(fleet.path),
        "name": fleet.name,
        "broker": fleet.broker.url,
        "root": str(fleet.root),
        "offline": [str(p) for role in ("root", "release") for p in fleet.key_files(role)],
        "command_key": str(fleet.command_key),
        "depot": str(fleet.depot),
    }
    return json.dumps(files)


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet init",
        description="Make a fleet: offline keys under a passphrase, the depot's keys, the command "
        "key, and the first signed metadata. Nothing that exists is ever overwritten.",
    )
    add_dir_option(parser)
    parser.add_argument("--name", default="home", metavar="FLEET", help="default: %(default)s")
    parser.add_argument(
        "--broker", default="mqtt://localhost:1883", metavar="URL", help="default: %(default)s"
    )
    parser.add_argument("--root-keys", type=int, default=1, metavar="N", help="so many are made")
    parser.add_argument(
        "--root-threshold", type=int, default=1, metavar="M", help="so many of them must sign"
    )
    parser.add_argument("--release-keys", type=int, default=1, metavar="N")
    parser.add_argument("--release-threshold", type=int, default=1, metavar="M")
    add_passphrase_option(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser
