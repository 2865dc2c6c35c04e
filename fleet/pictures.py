"""Where a picture from a device is saved: never over another file that nobody named."""

from __future__ import annotations

import os
import time
from pathlib import Path

from wire.durable import write_durably
from wire.orders import Snapshot
from wire.troubles import Refused, Unavailable

MOST_AT_A_TIME = 100  # of one device and second


def check_place(path: Path | None) -> None:
    """Whether a picture can be saved where it is wished, before anybody is asked for it.

    Raises Refused, Unavailable.
    """
    if path is not None and os.path.isdir(path):
        raise Refused(f"--output {path} is a folder: name a file in it")
    if path is not None and os.path.lexists(path) and not os.path.isfile(path):
        raise Refused(f"--output {path} is no ordinary file, and would be replaced: name another")
    folder = Path() if path is None else path.parent
    if not os.path.isdir(folder):  # as above, no error where it cannot even be looked at
        raise Refused(f"--output: there is no folder {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Unavailable(f"{folder.absolute()}: this user may not write here: use --output FILE")


def save(picture: bytes, device: str, order: Snapshot, path: Path | None, now_s: float) -> Path:
    """Write a picture durably; path None: under a name of its own in the current folder.

    Returns where it is. Raises Unavailable.
    """
    path = path or _free(device, order, now_s)
    try:
        write_durably(path, picture)
    except OSError as error:
        raise Unavailable(f"{path}: cannot be written: {error.strerror}") from None
    return path


def _free(device: str, order: Snapshot, now_s: float) -> Path:
    moment = time.strftime("%Y%m%d-%H%M%S", time.localtime(now_s))
    stem = "-".join((device, *([order.pipeline] if order.pipeline else []), moment))
    names = (f"{stem}{f'-{n}' if n else ''}.jpg" for n in range(MOST_AT_A_TIME))
    for name in names:
        if not os.path.lexists(name):
            return Path(name)
    raise Refused(f"{stem}.jpg and all names like it are taken: use --output FILE")
