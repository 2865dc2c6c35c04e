"""Is a file with a secret there, for the service to read, and for nobody else?"""

from __future__ import annotations

import grp
import os
import pwd
import stat

USER = "vedette"  # whom the units run as


def complaint_about(path: str, user: str = USER) -> str | None:
    """What is wrong with the file and how to mend it, or None. user: who has to read it; where
    there is no such user on this machine, that is not judged."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return "there is no such file"
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    if not stat.S_ISREG(found.st_mode):
        return "is no file"
    if found.st_mode & stat.S_IROTH:
        return f"everybody on this machine can read it: chmod 640 {path}; chgrp {user} {path}"
    if found.st_size == 0:
        return "is empty"
    if not _can_read(found, user):
        return f"the user {user} cannot read it: chgrp {user} {path}; chmod 640 {path}"
    return None


def _can_read(found: os.stat_result, user: str) -> bool:
    """By the file's own mode: what the folders above allow is not looked at."""
    try:
        who = pwd.getpwnam(user)
    except KeyError:
        return True
    if who.pw_uid in (0, found.st_uid):
        return who.pw_uid == 0 or bool(found.st_mode & stat.S_IRUSR)
    groups = {who.pw_gid, *(group.gr_gid for group in grp.getgrall() if user in group.gr_mem)}
    return found.st_gid in groups and bool(found.st_mode & stat.S_IRGRP)
