"""Takes Vedette away: all but configuration and state, or, with --purge, all."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from installing import durable, units
from installing.places import Places
from installing.progress import Progress, run
from installing.services import Services
from installing.troubles import Trouble

USER = "vedette"


def uninstall(places: Places, services: Services, progress: Progress) -> list[Path]:
    """Remove programs, units and links. Returns what stays: only what is there is named."""
    there = services.enabled()
    progress.step("stopping the services")
    services.disable(there)
    services.stop(there)
    progress.step("removing units, programs and links")
    units.remove(places)
    durable.remove(places.watchdog)
    services.reload()
    for link, _ in places.links[2:]:
        if link.is_symlink():
            durable.remove(link)
    # what the services' way of starting needs goes last: an uninstall that was cut off is repeated
    if places.home.exists():
        shutil.rmtree(places.home)
    durable.remove(places.tmpfiles)
    return [path for path in places.kept if path.exists()]


def purge(places: Places, services: Services, progress: Progress) -> None:
    """Remove configuration, state and the user, too."""
    uninstall(places, services, progress)
    progress.step("removing configuration, state and the user")
    for path in (
        *places.kept,
        places.at("/run/vedette"),
        *places.units.glob("vedette-*.service.d"),
    ):
        if path.is_dir():
            shutil.rmtree(path)
    services.reload()
    durable.remove(places.sysusers)
    _remove_user(places)
    with contextlib.suppress(OSError):
        places.watchdog.parent.rmdir()  # others may have something in it


def _remove_user(places: Places) -> None:
    """systemd-sysusers only adds."""
    names = places.at("/etc/passwd")
    if not names.exists() or not _has(names):
        return
    root = [] if places.is_here else ["--prefix", str(places.root)]
    run(["userdel", *root, USER])
    if _has(places.at("/etc/group")):
        with contextlib.suppress(Trouble):  # where userdel leaves no group behind
            run(["groupdel", *root, USER])


def _has(accounts: Path) -> bool:
    lines = accounts.read_text(encoding="utf-8", errors="replace").splitlines()
    return any(line.startswith(f"{USER}:") for line in lines)
