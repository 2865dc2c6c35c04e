"""Can the service keep its state: is the folder there, its own, writable, and has its disk room?"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import secrets
import shlex
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from wire import mends
from wire.finding import Finding

FULL = (errno.ENOSPC, errno.EDQUOT)
TRIED_BYTES = 64 * 1024
LEAST_BYTES, LOW_BYTES = 32 << 20, 256 << 20
LEAST_SHARE, LOW_SHARE = 0.01, 0.05
MOST_ENTRIES = 5000
MAKE_ROOM = "sudo journalctl --vacuum-size=50M; sudo apt-get clean; sudo du -xh / | sort -h | tail"


def look_at_state(folder: Path) -> Iterator[Finding]:
    """By the user who asks: the doctor asks as the service's."""
    user = _service_user()
    if _is_hidden(folder) and _is_stranger(user):
        says = f"only {user} may see it, not who asks"
        yield Finding("disk", "warning", str(folder), says, "sudo vedette doctor")
        return
    if not folder.is_dir():
        is_hidden = _is_hidden(folder)
        says = "may not be entered" if is_hidden else "is not there"
        make = f"sudo install -d -m 750 -o {user} -g {user} {shlex.quote(str(folder))}"
        mend = mends.owned(folder, user) if is_hidden else make
        yield Finding("disk", "bad", str(folder), f"the state folder {says}", mend)
        return
    trouble = _try_to_write(folder)
    if trouble is not None:
        yield _not_written(folder, user, trouble)
    strange = next(_of_others(folder, user), None)
    if strange is not None and (trouble is None or trouble.errno != errno.EROFS):
        yield Finding(
            "disk", "bad", str(strange), f"it does not belong to {user}, who must write it",
            mends.owned(folder, user),
        )  # fmt: skip
    if trouble is None or trouble.errno not in FULL:  # else it was said
        yield from _room(folder, is_writable=trouble is None)


def _service_user() -> str:
    """The units' user; where there is none, whoever asks."""
    try:
        return pwd.getpwnam(mends.USER).pw_name
    except KeyError:
        pass
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _is_stranger(user: str) -> bool:
    """Whether who asks is neither the service's user nor root, for whom it may be right so."""
    try:
        return os.geteuid() not in (0, pwd.getpwnam(user).pw_uid)
    except KeyError:
        return False


def _is_hidden(folder: Path) -> bool:
    """Whether what is there may not be seen."""
    try:
        os.listdir(folder)
    except PermissionError:
        return True
    except OSError:
        return False
    return False


def _try_to_write(folder: Path) -> OSError | None:
    """Write a little, to the disk itself, and take it away again."""
    path = folder / f".check-{secrets.token_hex(8)}"
    try:
        with open(path, "xb", buffering=0) as file:
            written = file.write(bytes(TRIED_BYTES))
            os.fsync(file.fileno())
        return None if written == TRIED_BYTES else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        return error
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def _not_written(folder: Path, user: str, error: OSError) -> Finding:
    about, file = str(folder), shlex.quote(str(folder))
    if error.errno in FULL:
        return Finding("disk", "bad", about, "the disk is full: nothing can be kept", MAKE_ROOM)
    if error.errno == errno.EROFS:
        says = "it is read-only: mounted so, or by the kernel after an error of the card"
        mount = f"sudo mount -o remount,rw $(findmnt -nT {file} -o TARGET)"
        return Finding("disk", "bad", about, says, f"sudo dmesg | grep -iE 'error|ro'; {mount}")
    if error.errno in (errno.EACCES, errno.EPERM):
        says = f"{user} may not write it"
        return Finding("disk", "bad", about, says, mends.owned(folder, user))
    says = f"it cannot be written: {error.strerror}: the card may be at its end"
    return Finding("disk", "bad", about, says, "sudo dmesg | tail -n 30")


def _of_others(folder: Path, user: str) -> Iterator[Path]:
    """What is there, itself included, and is another's."""
    try:
        owner = pwd.getpwnam(user).pw_uid
    except KeyError:
        return
    below = (Path(at, name) for at, *both in os.walk(folder) for part in both for name in part)
    for path in islice(chain((folder,), below), MOST_ENTRIES):
        try:
            if path.lstat().st_uid != owner:
                yield path
        except OSError:
            continue


def _room(folder: Path, is_writable: bool) -> Iterator[Finding]:
    try:
        found = os.statvfs(folder)
    except OSError:
        return
    free, total = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    share = free / total if total else 1.0
    says = f"{_size(free)} of {_size(total)} are free"
    about = f"the disk of {folder}"
    if found.f_files and not found.f_favail:
        yield Finding("disk", "bad", about, "it has no room for another file (inodes)", MAKE_ROOM)
    elif is_writable and (free < LEAST_BYTES or share < LEAST_SHARE):
        yield Finding("disk", "bad", about, f"it is nearly full: {says}", MAKE_ROOM)
    elif is_writable and (free < LOW_BYTES or share < LOW_SHARE):
        yield Finding("disk", "warning", about, f"it is getting full: {says}", MAKE_ROOM)
    else:
        yield Finding("disk", "ok", about, says)


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count / (1 << 20):.0f} MiB"
