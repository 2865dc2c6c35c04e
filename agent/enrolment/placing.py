"""Puts an enrolment into /etc/vedette: all of it, or nothing where the power goes.

Its files lie in a folder of their own, `enrolled-` and a digest, which is there whole or not at
all. From one enrolment to the next it goes in a single step: when vedette.toml is renamed.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.enrolment.config_file import Named, Wish, written
from wire.config import parse, read
from wire.durable import make_folder_durably, rename_durably, sync_file, sync_folder
from wire.enrolment import Enrolment, to_file
from wire.troubles import Unavailable

CONFIG, BEFORE = "vedette.toml", "vedette.toml.before"
GROUP = "vedette"  # of the services
SPECIAL = ("csi:", "rtsp:", "rtsps:", "http:", "https:")  # cameras that the common unit keeps away
FOLDER = "enrolled-"
HINTS = {
    errno.EACCES: "run it with sudo",
    errno.EPERM: "run it with sudo",
    errno.EROFS: "sudo mount -o remount,rw / first",
    errno.ENOSPC: "make room and try again",
    errno.EDQUOT: "make room and try again",
}
OURS_ALONE, WITH_GROUP = 0o600, 0o640


@dataclass(frozen=True)
class Placed:
    """changed: whether vedette.toml says anything new. before: where the old one is, None: there
    was none, or it is the same. pipelines: of the configuration that is there now; with_drop_in:
    those of which the service needs one for its camera."""

    config: Path
    changed: bool
    before: Path | None
    folder: Path
    pipelines: tuple[str, ...]
    with_drop_in: tuple[str, ...] = ()


def place(etc: Path, enrolment: Enrolment, wish: Wish) -> Placed:
    """Raises Unavailable if nothing can be written there, Refused if what would come of it is
    wrong: then nothing was changed."""
    try:
        make_folder_durably(etc)
        with _one_at_a_time(etc):
            return _place(etc, enrolment, wish)
    except OSError as error:
        hint = HINTS.get(error.errno or 0, "name another folder by --etc")
        raise Unavailable(f"{error.filename or etc}: {error.strerror}: {hint}") from None


def _place(etc: Path, enrolment: Enrolment, wish: Wish) -> Placed:
    contents = _contents(enrolment)
    folder = etc / f"{FOLDER}{hashlib.sha256(to_file(enrolment)).hexdigest()[:12]}"
    config = etc / CONFIG
    old = read(config) if config.exists() else None
    named = _named(folder, contents)
    text = written(old, enrolment, named, wish, str(config))
    _make_folder(folder, contents)
    before = etc / BEFORE
    if text != old:
        owner = _owner_of(config)
        try:
            if old is not None:
                _write(before, old.encode(), owner)
            _write(config, text.encode(), owner)
        except OSError:  # the new files are named by nobody
            _tidy(etc, old or "", read(before) if before.exists() else "")
            raise
    _tidy(etc, text, read(before) if before.exists() else "")
    was_there = old is not None and text != old
    meant = parse(text, str(config)).pipeline
    special = tuple(name for name, one in meant.items() if one.camera.startswith(SPECIAL))
    return Placed(config, text != old, before if was_there else None, folder, tuple(meant), special)


def _contents(enrolment: Enrolment) -> dict[str, bytes]:
    texts = {
        "root.json": enrolment.root,
        "ca.pem": enrolment.ca_pem,
        "password": None if enrolment.password is None else f"{enrolment.password}\n",
    }
    if enrolment.certificate_pem is not None and enrolment.key_pem is not None:
        certificate = enrolment.certificate_pem
        end = "" if certificate.endswith("\n") else "\n"
        texts["device.pem"] = f"{certificate}{end}{enrolment.key_pem}"
    return {name: text.encode() for name, text in texts.items() if text is not None}


def _named(folder: Path, contents: dict[str, bytes]) -> Named:
    def path(name: str) -> Path | None:
        return folder / name if name in contents else None

    return Named(path("root.json"), path("ca.pem"), path("device.pem"), path("password"))


@dataclass(frozen=True)
class _Owner:
    """Whose a file is. None: whoever writes it."""

    mode: int
    user: int = -1
    group: int = -1


def _services() -> _Owner:
    """The services read it, and nobody else; where they are not set up, only who writes."""
    try:
        return _Owner(WITH_GROUP, group=grp.getgrnam(GROUP).gr_gid)
    except KeyError:
        return _Owner(OURS_ALONE)


def _owner_of(config: Path) -> _Owner:
    """Who owns it shall not change by our writing."""
    try:
        told = os.stat(config)
    except FileNotFoundError:
        return _services()
    return _Owner(told.st_mode & 0o7777, told.st_uid, told.st_gid)


def _make_folder(folder: Path, contents: dict[str, bytes]) -> None:
    owner = _services()
    if folder.is_dir() and all(_holds(folder / name, what) for name, what in contents.items()):
        for path in (folder, *(folder / name for name in contents)):
            _give(path, owner)
        return
    unfinished = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(mode=0o700)
        for name, content in contents.items():
            _write(unfinished / name, content, owner)
        _give(unfinished, owner)
        sync_folder(unfinished)
        if folder.exists():  # somebody changed it: the config that names it gets the right one
            shutil.rmtree(folder)
        rename_durably(unfinished, folder)
    except OSError:  # no part of a key stays where the disk is full
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def _holds(path: Path, content: bytes) -> bool:
    with contextlib.suppress(OSError):
        return path.read_bytes() == content
    return False


def _write(path: Path, content: bytes, owner: _Owner) -> None:
    """Replace a file in one step; nobody else can read it at any moment."""
    beside = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    try:
        with open(os.open(beside, flags, OURS_ALONE), "wb") as file:
            file.write(content)
            _give(beside, owner)
            sync_file(file)
        rename_durably(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def _give(path: Path, owner: _Owner) -> None:
    """What is there already must not be a trouble for those who may not change owners."""
    mode = owner.mode | (0o110 if path.is_dir() and owner.mode & 0o040 else 0)
    mode |= 0o100 if path.is_dir() else 0
    told = os.stat(path)
    wanted = (
        told.st_uid if owner.user == -1 else owner.user,
        told.st_gid if owner.group == -1 else owner.group,
    )
    if (told.st_uid, told.st_gid) != wanted:
        with contextlib.suppress(PermissionError):
            os.chown(path, *wanted)
    if os.stat(path).st_mode & 0o7777 != mode:
        os.chmod(path, mode)


def _tidy(etc: Path, *texts: str) -> None:
    """Away with what no configuration names: the secrets of enrolments that were replaced."""
    for path in (*etc.glob(f"{FOLDER}*"), *etc.glob(f".{FOLDER}*.new")):
        # by its name: in the configuration of an image are the paths of when it runs
        if path.is_dir() and not any(f"/{path.name}/" in text for text in texts):
            shutil.rmtree(path)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(etc / f".{CONFIG}.new")


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
