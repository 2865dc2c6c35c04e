"""`vedette fleet serve`: the fleet's dashboard, with depot and registry in one process."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from fleet.commands.ingest import GIB, add_keep_option, add_sharing_option
from fleet.database import add_database_option, database_of
from fleet.flags import seconds
from fleet.offering.flags import add_fleet_options, fleet_of
from wire import logs
from wire.command_line import Parser
from wire.folders import named_path
from wire.systemd import Notifier
from wire.troubles import Refused, Unavailable

if TYPE_CHECKING:
    from fleet.serve.whole import Wanted

PARTS = ("depot", "ingest")  # that may run elsewhere
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    with _ended_before_it_serves():
        return _serve(words)


@contextlib.contextmanager
def _ended_before_it_serves() -> Iterator[None]:
    """Large packages are loaded and a database is opened: who is asked to end meanwhile closes what
    is open, and ends well. From then on `serving` hears signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _serve(words: argparse.Namespace) -> int:
    _check_is_private(words)
    _check_parts(words)
    try:
        from fleet.serve.whole import serve_whole

        wanted = _wanted(words)
    except ImportError as error:
        raise Unavailable(
            f"cannot load a Python package: {error.msg}: pip install 'vedette[fleet]'"
        ) from None
    logs.log_to_stderr("info")
    with Notifier() as notifier:
        served = serve_whole(wanted, notifier)
        notifier.stopping("saying goodbye")
    if words.json:
        print(json.dumps(asdict(served)))
    return 0


def _wanted(words: argparse.Namespace) -> Wanted:
    from fleet.actions.place import load_command_key
    from fleet.registry.words import Terms
    from fleet.serve.parts import WebTerms
    from fleet.serve.serving import Listen
    from fleet.serve.whole import Wanted

    fleet = fleet_of(words)
    host, port = words.listen
    is_secure = words.tls_cert is not None or words.behind_proxy
    return Wanted(
        fleet=fleet,
        database=database_of(fleet, words.database),
        listen=Listen(host, port, words.tls_cert, words.tls_key),
        terms=WebTerms(tuple(words.name), is_secure, words.behind_proxy),
        without=frozenset(words.without),
        keep=Terms(keep_bytes=int(words.keep_gib * GIB)),
        sharing=words.sharing,
        end_s=None if words.seconds is None else time.monotonic() + words.seconds,
        key=None if words.command_key is None else load_command_key(
            words.command_key, words.passphrase_file
        ),
    )  # fmt: skip


def _check_is_private(words: argparse.Namespace) -> None:
    """Raises Refused where passwords would travel in the clear."""
    if (words.tls_cert is None) != (words.tls_key is None):
        raise Refused("--tls-cert and --tls-key go together")
    host = words.listen[0]
    is_here = host == "localhost" or _is_loopback(host)
    if not is_here and words.tls_cert is None and not words.behind_proxy:
        raise Refused(
            f"--listen {host}: passwords would cross the network in the clear: add --tls-cert and "
            "--tls-key, or --behind-proxy where a proxy speaks https"
        )


def _check_parts(words: argparse.Namespace) -> None:
    """Raises Refused for what cannot be meant."""
    if words.sharing == "alone" and "ingest" in words.without:
        raise Refused("--alone is about the ingest of this process, and --without ingest has none")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(text: str) -> tuple[str, int]:
    """HOST:PORT."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT, like 127.0.0.1:8080")
    return host, int(port)


def host_name(text: str) -> str:
    if HOST.fullmatch(text) is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a host")
    return text


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet serve",
        description="Serve the fleet's dashboard and its JSON API, and beside it, in this process, "
        "the depot and the registry. The first start makes an account for an operator and prints "
        "its password once; vedette fleet users makes more.",
    )
    parser.add_argument(
        "--listen", type=listen, default=("127.0.0.1", 8080), metavar="HOST:PORT",
        help="default: 127.0.0.1:8080; port 0: any that is free",
    )  # fmt: skip
    parser.add_argument(
        "--name", type=host_name, action="append", default=[], metavar="HOST",
        help="a name by which browsers reach this server, beside addresses and localhost",
    )  # fmt: skip
    parser.add_argument("--tls-cert", type=named_path, metavar="FILE", help="speak https")
    parser.add_argument("--tls-key", type=named_path, metavar="FILE", help="of the certificate")
    parser.add_argument(
        "--behind-proxy", action="store_true",
        help="a proxy speaks https, and says by X-Forwarded-For who asks",
    )  # fmt: skip
    add_database_option(parser)
    add_keep_option(parser)
    add_sharing_option(parser)
    parser.add_argument(
        "--without", action="append", default=[], choices=PARTS,
        help="this part runs elsewhere: depot or ingest",
    )  # fmt: skip
    parser.add_argument(
        "--command-key", type=named_path, metavar="FILE",
        help="let operators deploy, roll back and command from the page, signed by this key "
        "(without it the page shows the commands for it)",
    )  # fmt: skip
    parser.add_argument(
        "--passphrase-file", type=named_path, metavar="FILE", help="of the command key"
    )
    parser.add_argument("--seconds", type=seconds, metavar="S", help="stop after S seconds")
    add_fleet_options(parser)
    return parser
