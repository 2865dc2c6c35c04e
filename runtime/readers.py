"""May the user that the services run as read a file? By its mode and those of the folders above."""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import stat
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
                return f"the user {user} may not enter {folder}: {_opened(folder, 'x', user)}"
        wanted, letters = (READ | ENTER, "rx") if real.is_dir() else (READ, "r")
        if not _passes(real, user, wanted):
            return f"the user {user} may not read {real}: {_opened(real, letters, user)}"
    except OSError:
        return None
    return None


def _opened(path: Path, letters: str, user: str) -> str:
    """The commands that let the user in. What is closed to everybody was closed by somebody who
    meant it, as a key is: it is opened to this user alone."""
    named = shlex.quote(str(path))
    if path.stat().st_mode & stat.S_IRWXO:
        return f"chmod o+{letters} {named}"
    return f"chgrp {user} {named}; chmod g+{letters} {named}"


def _passes(path: Path, user: str, wanted: int) -> bool:
    if may(path.stat(), user, wanted):
        return True
    return "system.posix_acl_access" in os.listxattr(path)  # who may is not in the mode then
