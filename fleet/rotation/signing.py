"""Signing a change of keys with the keys that are here; the rest waits in the folder `pending`."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

from fleet.folder import FleetFolder
from fleet.passphrase import Passphrases
from fleet.roles import roles
from fleet.roles.roles import Lacking
from fleet.rotation.rotation import Change, State, lacks
from wire.durable import make_folder_durably, rename_durably, write_durably
from wire.signing import SigningKey, WrongPassphrase
from wire.troubles import Refused, Unavailable

PENDING = "pending/keys"  # in the fleet's folder
LARGEST = 8 * 1024 * 1024  # bytes of one file there


class Signers:
    """The offline keys that can be had: made just now, named, or in the fleet's folder."""

    def __init__(self, phrases: Passphrases, files: Iterable[Path], made: Iterable[SigningKey]):
        self._phrases = phrases
        self._files = list(files)
        self._keys = list(made)

    def give(self, metadata: bytes, name: str, lack: Callable[[bytes], Lacking]) -> bytes:
        """The metadata with as many of the missing signatures as there are keys here.

        Key files are opened only as long as signatures are missing, those called by this name
        first. Raises WrongPassphrase if one that stayed shut may be among the missing.
        """
        shut: list[tuple[Path, WrongPassphrase]] = []
        self._files.sort(key=lambda path: not path.name.startswith(name))
        while (missing := lack(metadata)).count:
            usable = [key for key in self._keys if key.public in missing.keys]
            if usable:
                metadata = roles.signed(metadata, usable[:1])
                continue
            if not self._files:
                break
            path = self._files.pop(0)
            try:
                self._keys.append(self._phrases.load(path))
            except WrongPassphrase as wrong:
                shut.append((path, wrong))
        self._files += [path for path, _ in shut]
        if shut and missing.count:
            raise shut[0][1]
        return metadata


def sign(state: State, change: Change, signers: Signers) -> Change:
    """The change, with the signatures that can be given here."""
    if change.root is not None:
        root = signers.give(change.root, "root", lambda new: roles.lacking_root(new, state.root))
        change = replace(change, root=root)
    if change.targets is not None:
        by = change.root or state.root
        lack = partial(roles.lacking, delegator=by, role="targets")
        targets = signers.give(change.targets, "release", lack)
        change = replace(change, targets=targets)
    return change


def offline_files(fleet: FleetFolder) -> list[Path]:
    """The key files of root and release in the fleet's folder, the newest first."""
    return [path for role in ("root", "release") for path in reversed(fleet.key_files(role))]


def check_complete(state: State, change: Change) -> str:
    """Which signatures a change lacks, to people; empty: none."""
    words = [
        f"{lack.count} more of the {name} keys must sign: "
        + ", ".join(key[:16] for key in lack.keys)
        for name, lack in zip(("root", "release"), lacks(state, change), strict=True)
        if lack.count
    ]
    return "; ".join(words)


def keep(folder: Path, state: State, change: Change) -> None:
    """Write a change down, with what it follows, so that it can be signed elsewhere."""
    files = {
        "root.json": change.root,
        "targets.json": change.targets,
        "commands.json": change.commands,
        # last: half a change is none
        "before.root.json": state.root,
        "before.targets.json": state.targets,
    }
    try:
        make_folder_durably(folder)
        for name, content in files.items():
            if content is not None:
                write_durably(folder / name, content)
            else:
                (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise Unavailable(f"{folder}: cannot be written: {error.strerror}") from None


def kept(folder: Path) -> tuple[State, Change] | None:
    """The change that waits in a folder, and what it follows; None: none does."""
    root, targets = _content(folder / "before.root.json"), _content(folder / "before.targets.json")
    if root is None or targets is None:
        return None
    change = Change(*(_content(folder / f"{n}.json") for n in ("root", "targets", "commands")))
    if change.root is None and change.targets is None:
        return None
    return State(root, targets), change


def drop(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def take_over(new: Path, place: Path) -> None:
    """A key file takes the place of another for good. Raises Unavailable."""
    try:
        rename_durably(new, place)
    except OSError as error:
        raise Unavailable(f"{place}: cannot be written: {error.strerror}") from None


def _content(path: Path) -> bytes | None:
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise Refused(f"{path}: too large for signed metadata")
    return content
