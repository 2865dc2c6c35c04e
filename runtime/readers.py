"""May the user that the services run as read a file? By its mode and those of the folders above."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

USER = "vedette"  # whom the units run as
READ, ENTER = 4, 1  # bits of a mode, as they stand for others


def may(found: os.stat_result, user: str, wanted: int) -> bool:
    """Whether the mode of one file or folder lets the user do all that is wanted. True where there
    is no such user on this machine: that is not judged."""
    try:
        who = pwd.getpwnam(user)
    except KeyError:
        return True
    if who.pw_uid == 0:
        return True
    groups = {who.pw_gid, *(group.gr_gid for group in grp.getgrall() if user in group.gr_mem)}
    shift = 6 if who.pw_uid == found.st_uid else 3 if found.st_gid in groups else 0
    return found.st_mode >> shift & wanted == wanted


def obstacle(path: str, user: str = USER) -> str | None:
    """What keeps the user from reading a file or listing a folder, and how to mend it; None if
    nothing does, or if that cannot be judged from here."""
    real = Path(os.path.realpath(path))
    try:
        for folder in reversed(real.parents):
            if not _passes(folder, user, ENTER):
                return f"the user {user} may not enter {folder}: chmod o+x {folder}"
        wanted, letters = (READ | ENTER, "rx") if real.is_dir() else (READ, "r")
        if not _passes(real, user, wanted):
            return f"the user {user} may not read {real}: chmod o+{letters} {real}"
    except OSError:
        return None
    return None


def _passes(path: Path, user: str, wanted: int) -> bool:
    if may(path.stat(), user, wanted):
        return True
    return "system.posix_acl_access" in os.listxattr(path)  # who may is not in the mode then
