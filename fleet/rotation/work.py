"""Changes of keys, from the new key's file to the metadata that is in force."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.folder import FleetFolder, open_fleet
from fleet.passphrase import Passphrases
from fleet.roles import roles
from fleet.roles.roles import Role, RoleName
from fleet.rotation import rotation
from fleet.rotation.place import Place, open_place
from fleet.rotation.rotation import OFFLINE, ONLINE, Change, State
from fleet.rotation.signing import (
    PENDING,
    Signers,
    check_complete,
    drop,
    keep,
    kept,
    offline_files,
    sign,
    take_over,
)
from wire.durable import write_durably
from wire.signing import SigningKey, load_key, make_key
from wire.troubles import Refused, Trouble, Unavailable

NEW_COMMAND = "command-new.pem"
ALL_ONLINE = "online"  # snapshot, timestamp and deployments together


@dataclass(frozen=True)
class Outcome:
    """state: in force now. made: the new key's file, or the folder of several. missing: whose
    signatures the change waits for, in `pending`; empty: none."""

    state: State
    made: Path | None = None
    missing: str = ""
    pending: Path | None = None


class Work:
    """One command's. key_files: offline keys that were named; else those of the fleet's folder."""

    def __init__(
        self, fleet: FleetFolder, place: Place, phrases: Passphrases, key_files: Iterable[Path],
        now_s: float,
    ) -> None:  # fmt: skip
        """Raises Refused if a change waits already."""
        self._fleet = fleet
        self._place = place
        self._phrases = phrases
        self._files = list(key_files) or offline_files(fleet)
        self._now_s = now_s
        self._pending = fleet.path / PENDING
        self._check_nothing_waits()
        finish_command_key(fleet, place)

    def rotate(self, name: str, old: str | None) -> Outcome:
        """name: root, release, an online role, all of them (`online`) or command. old: the first
        digits of the key that goes."""
        if name == "command":
            return self._rotate_command(old)
        if name == ALL_ONLINE:
            if old is not None:
                raise Refused("--replace: `online` replaces every key of the depot")
            return self._rotate_online()
        role: RoleName = OFFLINE.get(name, name)  # type: ignore[arg-type]  # the parser's choices
        by = rotation.delegator_of(self._place.state, role)
        before = roles.role_of(by, role)
        rotation.replaced(before, old, "", name)  # refused before a key is made
        path, key = self._new_key(name)
        if role == "deployments":
            change = rotation.with_deployments_key(self._place.state, key.public, self._now_s)
        else:
            after = rotation.replaced(before, old, key.public, name)
            change = rotation.with_roles(self._place.state, {role: after}, self._now_s)
        return self._finish(change, [path], key)

    def add(self, name: str) -> Outcome:
        """One more key of root or release."""
        role = OFFLINE[name]
        before = roles.role_of(self._place.state.root, role)
        path, key = self._new_key(name)
        after = Role((*before.keys, key.public), before.threshold)
        change = rotation.with_roles(self._place.state, {role: after}, self._now_s)
        return self._finish(change, [path], key)

    def threshold(self, name: str, threshold: int) -> Outcome:
        role = OFFLINE[name]
        before = roles.role_of(self._place.state.root, role)
        if before.threshold == threshold:
            return Outcome(self._place.state)
        after = Role(before.keys, threshold)
        return self._finish(rotation.with_roles(self._place.state, {role: after}, self._now_s))

    def renew(self) -> Outcome:
        return self._finish(rotation.renewal(self._place.state, self._now_s))

    def _rotate_online(self) -> Outcome:
        made = {role: self._new_key(role) for role in ONLINE}
        public = {role: key.public for role, (_, key) in made.items()}
        change = rotation.with_online_keys(self._place.state, public, self._now_s)
        return self._finish(change, [path for path, _ in made.values()])

    def _rotate_command(self, old: str | None) -> Outcome:
        others = self._other_command_keys(old)
        path = self._fleet.keys / NEW_COMMAND
        key = make_key(path)
        keys = (*others, key.public)
        change = rotation.with_command_keys(self._place.state, keys, self._now_s)
        outcome = self._finish(change, [path])
        if not outcome.missing:
            finish_command_key(self._fleet, self._place)
            return Outcome(outcome.state, self._fleet.command_key)
        return outcome

    def _other_command_keys(self, old: str | None) -> tuple[str, ...]:
        """Those that stay. The one that goes is the one that is here, if it is not said."""
        known = self._place.command_keys()
        if old is None and self._fleet.command_key.exists():
            gone = load_key(self._fleet.command_key).public
        else:
            marked = rotation.replaced(Role(known), old, "", "command").keys
            (gone,) = set(known) - set(marked)
        return tuple(key for key in known if key != gone)

    def _finish(self, change: Change, paths: Sequence[Path] = (), *made: SigningKey) -> Outcome:
        """paths: of the keys that were made for it."""
        state = self._place.state
        path = paths[0].parent if len(paths) > 1 else next(iter(paths), None)
        try:
            change = sign(state, change, Signers(self._phrases, self._files, made))
        except Trouble:
            for new in paths:
                new.unlink(missing_ok=True)  # made just now, and nothing names it
            raise
        keep(self._pending, state, change)
        missing = check_complete(state, change)
        if missing:
            return Outcome(state, path, missing, self._pending)
        put_in_force(self._fleet, self._place, change, self._pending)
        return Outcome(self._place.state, path)

    def _new_key(self, name: str) -> tuple[Path, SigningKey]:
        if name in OFFLINE:
            folder, phrase = self._fleet.keys, self._phrases.for_new_keys()
        else:
            phrase, folder = None, self._fleet.depot / "keys"
            if not folder.is_dir():
                folder = self._fleet.keys  # to be carried to the depot's machine
        number = 1 + max((_number(path) for path in folder.glob(f"{name}*.pem")), default=0)
        path = folder / f"{name}-{number}.pem"
        return path, make_key(path, phrase)

    def _check_nothing_waits(self) -> None:
        waiting = kept(self._pending)
        if waiting is None:
            return
        try:
            rotation.check_follows(self._place.state, waiting[1])
        except Refused:
            drop(self._pending)  # it came into force, or never can
            return
        raise Refused(
            f"{self._pending}: a change of keys waits: vedette fleet keys sign finishes it; or "
            "remove that folder"
        )


def sign_waiting(
    folder: Path | None, fleet_path: Path, phrases: Passphrases, key_files: Iterable[Path]
) -> Outcome:
    """Add signatures to a change that waits, and put it in force if it has all.

    folder: None: of the fleet's folder. Without the fleet's folder, signatures are all that is
    added. Raises Refused, Unavailable.
    """
    pending = folder or open_fleet(fleet_path).path / PENDING
    waiting = kept(pending)
    if waiting is None:
        raise Refused(f"{pending}: no change of keys waits here")
    state, change = waiting
    files = list(key_files) or offline_files(open_fleet(fleet_path))
    change = sign(state, change, Signers(phrases, files, ()))
    keep(pending, state, change)
    missing = check_complete(state, change)
    if missing:
        return Outcome(state, None, missing, pending)
    try:
        fleet = open_fleet(fleet_path)
    except Unavailable:
        raise Unavailable(
            f"{pending}: all have signed: give it back to who has the fleet's folder, for "
            "vedette fleet keys sign there"
        ) from None
    with open_place(fleet) as place:
        put_in_force(fleet, place, change, pending)
        finish_command_key(fleet, place)
        return Outcome(place.state)


def put_in_force(fleet: FleetFolder, place: Place, change: Change, pending: Path) -> None:
    """A change that is signed. `pending` goes when it is in force."""
    rotation.check_follows(place.state, change)
    try:
        place.put_in_force(change)
    except Trouble as trouble:
        raise type(trouble)(
            f"{trouble}: the change waits in {pending}: vedette fleet keys sign tries it again"
        ) from None
    try:
        write_durably(fleet.root, place.state.root)  # devices that come now need no older one
    except OSError as error:
        raise Unavailable(f"{fleet.root}: cannot be written: {error.strerror}") from None
    drop(pending)


def finish_command_key(fleet: FleetFolder, place: Place) -> None:
    """A new command key takes its place once devices obey it; one that they never will goes."""
    new = fleet.keys / NEW_COMMAND
    if not new.exists():
        return
    try:
        is_obeyed = load_key(new).public in place.command_keys()
    except Refused:  # spoiled: nothing can be signed with it
        is_obeyed = False
    if is_obeyed:
        take_over(new, fleet.command_key)
    else:
        new.unlink(missing_ok=True)


def _number(path: Path) -> int:
    """`root-2.pem` -> 2, `timestamp.pem` -> 1"""
    digits = path.stem.rpartition("-")[2]
    return int(digits) if digits.isdigit() else 1
