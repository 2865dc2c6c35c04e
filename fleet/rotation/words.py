"""Keys, thresholds and changes of them, to people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from fleet.folder import FleetFolder
from fleet.offering.pending import changes
from fleet.roles import roles
from fleet.roles.roles import Role, RoleName
from fleet.roles.root import called
from fleet.rotation.rotation import Change, State, delegator_of
from wire.signing import load_key
from wire.troubles import Trouble

DIGITS = 16  # of a key, where people read it
ROLES: tuple[RoleName, ...] = ("root", "targets", "snapshot", "timestamp", "deployments")


class Signs(Struct, frozen=True):
    """Who signs for a role. keys: in hex. expires: Unix time of what they signed last, where the
    operator sees it. files: of the keys that are here and can be told without a passphrase."""

    role: str
    keys: tuple[str, ...]
    threshold: int
    expires: float | None = None
    files: tuple[str, ...] = ()


def listed(fleet: FleetFolder, state: State, commands: tuple[str, ...]) -> tuple[Signs, ...]:
    """All that sign."""
    here = _open_keys(fleet)
    found = [
        _signs(name, roles.role_of(delegator_of(state, name), name), state, here) for name in ROLES
    ]
    files = tuple(here[key] for key in commands if key in here)
    return (*found, Signs("command", commands, 1, None, files))


def as_table(signs: tuple[Signs, ...]) -> str:
    """A line for each key."""
    lines = []
    for one in signs:
        until = "" if one.expires is None else f"  until {roles.moment(one.expires):%Y-%m-%d}"
        lines.append(f"{one.role:<12} {one.threshold} of {len(one.keys)}{until}")
        lines += [f"  {key}" for key in one.keys]
    return "\n".join(lines)


def told_change(state: State, change: Change) -> Iterator[str]:
    """What is about to be signed, a line each: all who will sign from then on, as who gave us the
    change also gave us what it follows."""
    after = State(change.root or state.root, change.targets or state.targets)
    if change.root is not None:
        until = roles.moment(roles.expires_of(change.root))
        yield f"root {roles.version_of(change.root)}, until {until:%Y-%m-%d}"
    for name in ROLES:
        old = roles.role_of(delegator_of(state, name), name)
        new = roles.role_of(delegator_of(after, name), name)
        was = "" if old == new else f", was {_in_words(old)}"
        yield f"{called(name)}: {_in_words(new)}{was}"
    if change.targets is not None:
        until = roles.moment(roles.expires_of(change.targets))
        yield f"release {roles.version_of(change.targets)}, until {until:%Y-%m-%d}"
        yield from changes(state.targets, change.targets)


def _in_words(role: Role) -> str:
    return f"{role.threshold} of {', '.join(key[:DIGITS] for key in role.keys)}"


def _signs(name: RoleName, role: Role, state: State, here: Mapping[str, str]) -> Signs:
    signed = {"root": state.root, "targets": state.targets}.get(name)
    expires = None if signed is None else roles.expires_of(signed)
    files = tuple(here[key] for key in role.keys if key in here)
    return Signs(called(name), role.keys, role.threshold, expires, files)


def _open_keys(fleet: FleetFolder) -> dict[str, str]:
    """The keys here that are not encrypted: where they lie."""
    found: dict[str, str] = {}
    places: list[Path] = [*fleet.keys.glob("*.pem"), *(fleet.depot / "keys").glob("*.pem")]
    for path in places:
        try:
            found[load_key(path).public] = str(path)
        except Trouble:
            continue
    return found
