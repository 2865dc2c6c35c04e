"""What a change of keys does to root and release metadata: drafts, unsigned. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.roles import roles
from fleet.roles import targets as roles_targets
from fleet.roles.roles import Lacking, Role, RoleName
from fleet.roles.root import next_root
from wire.release import COMMAND_KEYS, DEPLOYMENTS, target_file
from wire.troubles import Refused

OFFLINE: dict[str, RoleName] = {"root": "root", "release": "targets"}  # as people call them
ONLINE: tuple[RoleName, ...] = ("snapshot", "timestamp", "deployments")


@dataclass(frozen=True)
class State:
    """The root and the release metadata that are in force."""

    root: bytes
    targets: bytes


@dataclass(frozen=True)
class Change:
    """What follows them, signed as far as it is; None: that one stays. commands: the content of
    the new list of command keys."""

    root: bytes | None = None
    targets: bytes | None = None
    commands: bytes | None = None

    @property
    def commands_path(self) -> str:
        assert self.commands is not None
        return target_file(COMMAND_KEYS, hashlib.sha256(self.commands).hexdigest())


def with_roles(state: State, changed: Mapping[RoleName, Role], now_s: float) -> Change:
    """Other keys or thresholds for roles that the root names."""
    root = next_root(state.root, dict(changed), now_s)
    if not roles.lacking(state.targets, root, "targets").count:
        return Change(root)
    return Change(root, roles.renewed(state.targets, "targets", now_s))


def with_deployments_key(state: State, key: str, now_s: float) -> Change:
    targets = roles.renewed(state.targets, "targets", now_s)
    return Change(targets=roles_targets.with_deployments_key(targets, key))


def with_online_keys(state: State, keys: Mapping[RoleName, str], now_s: float) -> Change:
    """Another key for each role of the depot."""
    changed = {role: Role((keys[role],)) for role in ONLINE if role != DEPLOYMENTS}
    root = next_root(state.root, changed, now_s)
    return Change(root, with_deployments_key(state, keys["deployments"], now_s).targets)


def with_command_keys(state: State, keys: tuple[str, ...], now_s: float) -> Change:
    """keys: all whose commands devices obey from now on."""
    targets = roles.renewed(state.targets, "targets", now_s)
    commands = roles_targets.command_keys_file(keys)
    return Change(None, roles_targets.with_command_keys(targets, commands), commands)


def renewal(state: State, now_s: float) -> Change:
    """The same again, valid for longer."""
    root = next_root(state.root, {}, now_s)
    return Change(root, roles.renewed(state.targets, "targets", now_s))


def lacks(state: State, change: Change) -> tuple[Lacking, Lacking]:
    """The signatures that root and release metadata of a change lack."""
    root = roles.NOTHING if change.root is None else roles.lacking_root(change.root, state.root)
    if change.targets is None:
        return root, roles.NOTHING
    return root, roles.lacking(change.targets, change.root or state.root, "targets")


def check_follows(state: State, change: Change) -> None:
    """Raises Refused if others changed the same meanwhile."""
    for what, new, old in (
        ("root", change.root, state.root),
        ("release", change.targets, state.targets),
    ):
        if new is not None and roles.version_of(new) != roles.version_of(old) + 1:
            raise Refused(
                f"{what} {roles.version_of(new)} does not follow {what} {roles.version_of(old)}, "
                "which is in force: somebody changed it meanwhile: begin again"
            )


def replaced(role: Role, old: str | None, new: str, name: str) -> Role:
    """The role with another key. old: the first digits of the one that goes, needed where there
    are several. Raises Refused."""
    gone = [key for key in role.keys if old is None or key.startswith(old.lower())]
    if len(gone) != 1:
        known = ", ".join(key[:16] for key in role.keys)
        raise Refused(f"say which of the {name} keys goes by --replace DIGITS: {known}")
    return Role(tuple(new if key == gone[0] else key for key in role.keys), role.threshold)


def delegator_of(state: State, role: RoleName) -> bytes:
    """The metadata that says who signs for a role."""
    return state.targets if role == DEPLOYMENTS else state.root
