"""How much of the disk models may take, and how much they do."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

MIB = 1 << 20
SPARE_BYTES = 16 * MIB  # that stay free on the file system, whatever is fetched


def bytes_below(folder: Path) -> int:
    """The sizes of all files below a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue
    return total


def why_no_room(size: int, have_bytes: int, used_bytes: int, most_mib: int, at: Path) -> str | None:
    """Why a bundle cannot be fetched and unpacked, or None.

    size: of the bundle. have_bytes: of it that are there already. used_bytes: by all there is.
    most_mib: what is allowed. at: a folder on the file system in question.
    """
    more = 2 * size - have_bytes  # the bundle, and what is unpacked of it
    if used_bytes + more > most_mib * MIB:
        return (
            f"no room: {_mib(more)} MiB more are needed, {_mib(used_bytes)} of {most_mib} MiB are "
            "in use: raise [updates] disk_mib"
        )
    free = shutil.disk_usage(at).free
    if free < more + SPARE_BYTES:
        return (
            f"no room on the disk: {_mib(more + SPARE_BYTES)} MiB are needed, {_mib(free)} are free"
        )
    return None


def _mib(size: int) -> str:
    return f"{size / MIB:.1f}"
