"""What the root says: who signs for each role, and how many of them."""

from __future__ import annotations

from tuf.api.metadata import Role as SignedRole
from tuf.api.metadata import Root

from fleet.roles.roles import (
    LIFETIME_S,
    Role,
    RoleName,
    key_of,
    moment,
    read,
    renewed,
    role_of,
    unsigned,
)
from wire.troubles import Refused

TOP_ROLES: tuple[RoleName, ...] = ("root", "targets", "snapshot", "timestamp")


def first_root(roles: dict[RoleName, Role], now_s: float) -> bytes:
    """Root 1, unsigned. roles: each of TOP_ROLES."""
    expires = moment(now_s + LIFETIME_S["root"])
    return unsigned(_with(Root(version=1, expires=expires), roles))


def next_root(root: bytes, changed: dict[RoleName, Role], now_s: float) -> bytes:
    """The root that follows, unsigned: other keys or thresholds for the roles that changed."""
    roles = {name: changed.get(name, role_of(root, name)) for name in TOP_ROLES}
    after = read(renewed(root, "root", now_s), Root).signed
    after.keys.clear()
    return unsigned(_with(after, roles))


def called(role: RoleName) -> str:
    """As people call it."""
    return "release" if role == "targets" else role


def _with(root: Root, roles: dict[RoleName, Role]) -> Root:
    for name in TOP_ROLES:
        role = roles[name]
        if not 1 <= role.threshold <= len(set(role.keys)):
            raise Refused(
                f"{called(name)}: {role.threshold} of {len(set(role.keys))} keys cannot sign: the "
                "threshold must be from 1 to the number of keys"
            )
        root.roles[name] = SignedRole([], role.threshold)
        for key in role.keys:
            root.add_key(key_of(key), name)
    return root
