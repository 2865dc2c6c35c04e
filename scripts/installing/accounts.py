"""The user and the group that the services are: made by systemd, and removed if they are ours."""

from __future__ import annotations

import contextlib
from pathlib import Path

from installing import durable, units
from installing.places import Places
from installing.progress import Progress, run
from installing.troubles import Trouble

USER = "vedette"
HOME = "/var/lib/vedette"  # as in systemd/vedette.sysusers: how ours is known from a person's


def make(places: Places, release: str, progress: Progress) -> None:
    """Make what is missing. A user of that name that was there before is used, and that is said."""
    units.write_accounts(places, release)
    root = [] if places.is_here else [f"--root={places.root}"]
    run(["systemd-sysusers", *root, places.sysusers.name])
    run(["systemd-tmpfiles", *root, "--create", places.tmpfiles.name])
    if not is_ours(places):
        progress.note(f"the user {USER} was there before: the services are this user, who stays")


def group(places: Places) -> int:
    """The number of its group, which is another one in each system. Raises Trouble."""
    found = _line(places.at("/etc/group"))
    if found is None:
        raise Trouble(f"there is no group {USER} in {places.at('/etc/group')}")
    return int(found[2])


def is_ours(places: Places) -> bool:
    """Whether the user is one that systemd made of what a release brings."""
    found = _line(places.at("/etc/passwd"))
    return found is not None and found[5:6] == [HOME]


def remove(places: Places) -> None:
    """Remove user and group: systemd-sysusers only adds. One that was there before stays."""
    if not is_ours(places):
        return
    root = [] if places.is_here else ["--prefix", str(places.root)]
    run(["userdel", *root, USER])
    if _line(places.at("/etc/group")) is not None:
        with contextlib.suppress(Trouble):  # where userdel leaves no group behind
            run(["groupdel", *root, USER])


def write(path: Path, content: bytes, places: Places) -> None:
    """A file that the services may read, and nobody else, from its first moment on."""
    durable.write(path, content, 0o640, group(places))


def _line(accounts: Path) -> list[str] | None:
    """The fields of ours in /etc/passwd or /etc/group."""
    if not accounts.exists():
        return None
    lines = accounts.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.split(":") for line in lines if line.startswith(f"{USER}:")), None)
