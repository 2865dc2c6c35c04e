"""`vedette fleet users`: who may sign in to the fleet's dashboard, and as what."""

from __future__ import annotations

import argparse
import getpass
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from fleet.database import add_database_option, database_of
from fleet.folder import FleetFolder
from fleet.offering.flags import add_fleet_options, fleet_of
from fleet.wording import plural
from wire.command_line import Parser
from wire.folders import named_path
from wire.troubles import Refused, Unavailable, one_line

if TYPE_CHECKING:
    from fleet.accounts.accounts import Accounts
    from fleet.accounts.words import Role

WHERE = "console"  # instead of an address, in the audit trail
LARGEST = 4096  # bytes of a password's file
DAYS = 365.0
ROLES = ("viewer", "operator")


class Done(Struct, frozen=True, omit_defaults=True):
    """What came of it, as --json prints it. secret: a new token, shown this once."""

    done: str
    secret: str | None = None


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    if words.name is None and words.what != "list":
        raise Refused(f"{words.what} needs the NAME of an account")
    accounts = open_for(fleet_of(words), words.database)
    try:
        outcome = DEEDS[words.what](accounts, words)
    finally:
        accounts.close()
    if words.json:
        print(msgspec.json.encode(outcome).decode())
    else:
        for line in _lines(outcome):
            print(one_line(line))
    return 0


def open_for(fleet: FleetFolder, database: str | None) -> Accounts:
    """The accounts of a fleet. Raises Unavailable where the extra is not installed."""
    try:
        from fleet.accounts.accounts import open_accounts
        from fleet.registry.registry import open_registry
    except ImportError as error:
        raise Unavailable(
            f"cannot load a Python package: {error.msg}: pip install 'vedette[fleet]'"
        ) from None
    url = database_of(fleet, database)
    open_registry(url).close()  # who makes the database sets it up as the registry wants it
    return open_accounts(url)


def _lines(outcome: Struct | list[Struct]) -> list[str]:
    if isinstance(outcome, Done):
        return [outcome.done] if outcome.secret is None else [outcome.done, outcome.secret]
    return [_person(each) for each in outcome] if isinstance(outcome, list) else []


def _person(person: Struct) -> str:
    told = msgspec.structs.asdict(person)
    seen_s = told["signed_in_s"]
    since = "never signed in"
    if seen_s is not None:
        since = f"signed in {time.strftime('%Y-%m-%d %H:%M', time.localtime(seen_s))}"
    tokens = f", {plural(told['tokens'], 'token')}" if told["tokens"] else ""
    return f"{told['name']}: {told['role']}, {since}{tokens}"


def _list(accounts: Accounts, words: argparse.Namespace) -> list[Struct]:
    return list(accounts.people())


def _add(accounts: Accounts, words: argparse.Namespace) -> Done:
    role: Role = words.role or "viewer"
    accounts.add(words.name, _password(words), role)
    _note(accounts, "add account", words.name)
    return Done(f"{words.name} may sign in as {role}")


def _password_of(accounts: Accounts, words: argparse.Namespace) -> Done:
    accounts.set_password(words.name, _password(words))
    _note(accounts, "set password", words.name)
    return Done(f"{words.name} has a new password; sessions and tokens of before are over")


def _role(accounts: Accounts, words: argparse.Namespace) -> Done:
    if words.role is None:
        raise Refused("which role? add --role viewer or --role operator")
    accounts.set_role(words.name, words.role)
    _note(accounts, "set role", f"{words.name}: {words.role}")
    return Done(f"{words.name} is {words.role} from the next sign-in on")


def _remove(accounts: Accounts, words: argparse.Namespace) -> Done:
    accounts.remove(words.name)
    _note(accounts, "remove account", words.name)
    return Done(f"{words.name} may not sign in any more")


def _token(accounts: Accounts, words: argparse.Namespace) -> Done:
    if words.end:
        ended = accounts.end_tokens(words.name)
        _note(accounts, "end tokens", words.name)
        return Done(f"{plural(ended, 'token')} of {words.name} no longer count")
    opened = accounts.add_token(words.name, words.days)
    _note(accounts, "make token", words.name)
    until = time.strftime("%Y-%m-%d", time.localtime(opened.until_s))
    return Done(f"a token that reads /api and /metrics until {until}; keep it:", opened.secret)


DEEDS: dict[str, Callable[[Accounts, argparse.Namespace], Struct | list[Struct]]] = {
    "list": _list,
    "add": _add,
    "password": _password_of,
    "role": _role,
    "remove": _remove,
    "token": _token,
}


def _note(accounts: Accounts, what: str, subject: str) -> None:
    accounts.audit(getpass.getuser(), what, subject, "done", WHERE)


def _password(words: argparse.Namespace) -> str:
    """From the file, or typed twice; never from the words of a command, which others can see."""
    file: Path | None = words.password_from
    if file is not None:
        try:
            with open(file, "rb") as opened:
                first = opened.read(LARGEST).partition(b"\n")[0]
        except OSError as error:
            raise Unavailable(f"{file}: cannot be read: {error.strerror}") from None
        return first.rstrip(b"\r").decode("utf-8", "replace")
    if sys.stdin is None or not sys.stdin.isatty():
        raise Refused("a password is needed: --password-from FILE, or type it at a terminal")
    first_typed = getpass.getpass(f"password for {words.name}: ", sys.stderr)
    if getpass.getpass("the same again: ", sys.stderr) != first_typed:
        raise Refused("these were two passwords: nothing was changed")
    return first_typed


def days(text: str) -> float:
    """How long a token counts."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3660:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days up to 3660")
    return value


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette fleet users",
        description="Who may sign in to the dashboard of `vedette fleet serve`: a viewer sees the "
        "fleet, an operator also acts on it. Passwords are asked for, or read from a file; only "
        "their hashes are stored. A token lets a program read /api and /metrics.",
    )
    parser.add_argument("what", choices=sorted(DEEDS), metavar="WHAT", help=", ".join(DEEDS))
    parser.add_argument("name", nargs="?", metavar="NAME", help="of the account")
    parser.add_argument(
        "--role", choices=ROLES, help="with add (default: viewer) and role: what NAME may do"
    )
    parser.add_argument(
        "--password-from", type=named_path, metavar="FILE", help="with add and password"
    )
    parser.add_argument(
        "--days", type=days, default=DAYS, metavar="N", help="with token: it counts so long (365)"
    )
    parser.add_argument(
        "--end", action="store_true", help="with token: end all tokens of NAME instead"
    )
    add_database_option(parser)
    add_fleet_options(parser)
    return parser
