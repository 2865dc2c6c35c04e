"""Takes Vedette away: all but configuration and state, or, with --purge, all."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from installing import accounts, durable, units
from installing.places import Places
from installing.progress import Progress
from installing.services import ALL, Services
from installing.troubles import Trouble

SERVERS = ("vedette-depot.service", "vedette-serve.service")  # installed by hand


def uninstall(places: Places, services: Services, progress: Progress) -> list[Path]:
    """Remove programs, units and links. Returns what stays: only what is there is named. Raises
    Trouble if the fleet's server needs them."""
    for name in SERVERS:
        if (places.units / name).exists():
            raise Trouble(f"{name} runs from {places.home}: disable it, and remove its file before")
    there = services.enabled()
    progress.step("stopping the services")
    services.disable(there)
    services.stop(ALL)  # also one that somebody started and did not enable
    progress.step("removing units, programs and links")
    units.remove(places)
    durable.remove(places.watchdog)
    services.reload()
    for link, _ in places.links[2:]:
        if link.is_symlink():
            durable.remove(link)
    # what the services' way of starting needs goes last: an uninstall that was cut off is repeated
    _clear(places.home, progress)
    durable.remove(places.tmpfiles)
    return [path for path in places.kept if path.exists()]


def purge(places: Places, services: Services, progress: Progress) -> None:
    """Remove configuration, state and the user, too."""
    uninstall(places, services, progress)
    progress.step("removing configuration, state and the user")
    for path in (*places.kept, places.at("/run/vedette"), *units.drop_ins(places)):
        _clear(path, progress)
    services.reload()
    durable.remove(places.sysusers)
    accounts.remove(places)
    with contextlib.suppress(OSError):
        places.watchdog.parent.rmdir()  # others may have something in it


def _clear(folder: Path, progress: Progress) -> None:
    """Remove a folder. What a disk has that is mounted there goes, too. Where it is a link, what it
    names is removed if that, too, is named for us: it may be a whole disk of other things."""
    if folder.is_symlink():
        inside = folder.resolve()
        durable.remove(folder)
        if "vedette" not in inside.name:
            progress.note(f"{inside}, which {folder} was a link to, stays")
            return
        folder = inside
    if not folder.is_dir():
        return
    if not os.path.ismount(folder):
        shutil.rmtree(folder)
        return
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    progress.note(f"{folder} is empty now, and still mounted")
