"""Is a file with a secret there, for the service to read, and for nobody else?"""

from __future__ import annotations

import os
import shlex
import stat

from runtime.readers import READ, USER, may


def complaint_about(path: str, user: str = USER) -> str | None:
    """What is wrong with the file and how to mend it, or None. user: who has to read it; where
    there is no such user on this machine, that is not judged. The folders above are not looked at.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return "there is no such file"
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    if not stat.S_ISREG(found.st_mode):
        return "is no file"
    named = shlex.quote(path)
    if found.st_mode & stat.S_IROTH:
        return f"everybody on this machine can read it: chmod 640 {named}; chgrp {user} {named}"
    if found.st_size == 0:
        return "is empty"
    if not may(found, user, READ):
        return f"the user {user} cannot read it: chgrp {user} {named}; chmod 640 {named}"
    return None
