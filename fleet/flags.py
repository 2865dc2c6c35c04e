"""The options by which an operator's command reaches the broker, and how times are written."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from wire.config import Broker
from wire.troubles import Refused


def add_broker_options(parser: argparse.ArgumentParser) -> None:
    """--broker, --fleet and who we are there."""
    parser.add_argument(
        "--broker", default="mqtt://localhost:1883", metavar="URL",
        help="mqtt://, mqtts://, ws:// or wss://HOST[:PORT] (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--fleet", default="home", metavar="NAME", help="default: %(default)s")
    parser.add_argument("--username", metavar="NAME")
    parser.add_argument("--password-file", type=Path, metavar="FILE")
    parser.add_argument("--ca-file", type=Path, metavar="FILE", help="trust this CA only")
    parser.add_argument("--certificate-file", type=Path, metavar="FILE")
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="of the certificate")


def broker_of(words: argparse.Namespace) -> Broker:
    """The broker that the options name. Raises Refused."""
    if words.password_file is not None and words.username is None:
        raise Refused("--password-file: whose password is it? add --username NAME")

    def absolute(path: Path | None) -> str | None:
        return None if path is None else str(path.absolute())

    return Broker(
        url=words.broker,
        username=words.username,
        password_file=absolute(words.password_file),
        ca_file=absolute(words.ca_file),
        certificate_file=absolute(words.certificate_file),
        key_file=absolute(words.key_file),
    )


def seconds(text: str) -> float:
    """A length of time for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no length of time: write seconds, as 60")
    return value
