"""The book of names: who was enrolled as what, how they prove it, and who belongs no more."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import tomli_w
from msgspec import Meta, Struct
from msgspec.structs import replace

from fleet.enrolment.files import write_privately
from fleet.enrolment.passwords import PATTERN
from wire import topics
from wire.config import read
from wire.durable import make_folder_durably
from wire.enrolment import Role
from wire.names import Name
from wire.troubles import Refused
from wire.typed_toml import tables_of, typed

FOLDER = "enrolled"
Serial = Annotated[str, Meta(pattern=r"^[0-9a-f]{40}\Z")]
HEAD = "# Written by vedette fleet enroll and revoke. It holds no secret.\n"


class Entry(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One name. serial: of the certificate that counts. password_hash: of the password that
    counts. pending: of a certificate that is on its way into a file, and counts once it is there.
    ended: of those that count no more. forgotten_s: when the broker was to
    forget it. times: Unix."""

    name: Name
    role: Role
    groups: tuple[Name, ...] = ()
    serial: Serial | None = None
    password_hash: Annotated[str, Meta(pattern=PATTERN)] | None = None
    pending: Serial | None = None
    ended: tuple[Serial, ...] = ()
    enrolled_s: int | None = None
    revoked_s: int | None = None
    forgotten_s: int | None = None

    @property
    def belongs(self) -> bool:
        """Whether it may come to the broker. An enrolment that was cut off is none."""
        return self.revoked_s is None and (self.serial or self.password_hash) is not None

    @property
    def was_enrolled(self) -> bool:
        """Whether it ever was. Who is only to be forgotten was not."""
        moments = (self.enrolled_s, self.revoked_s)
        return self.belongs or bool(self.gone) or any(one is not None for one in moments)

    @property
    def is_forgotten(self) -> bool:
        """Whether the server may remove what the broker keeps of it."""
        return self.revoked_s is not None or self.forgotten_s is not None

    @property
    def gone(self) -> tuple[str, ...]:
        """The serials that the broker shall refuse."""
        return (*self.ended, *(() if self.pending is None else (self.pending,)))


class Book:
    """The files `enrolled/NAME.toml` of a fleet's folder. Written under `files.writing`."""

    def __init__(self, fleet: Path) -> None:
        self._folder = fleet / FOLDER

    def find(self, name: str) -> Entry | None:
        """Raises Refused if the name cannot be, or its file is wrong."""
        path = self._folder / f"{topics.checked(name)}.toml"
        return self._read(path) if path.exists() else None

    def entries(self) -> list[Entry]:
        """All, by name. Raises Refused."""
        return [self._read(path) for path in sorted(self._folder.glob("[!.]*.toml"))]

    def write(self, entry: Entry) -> None:
        """Raises OSError."""
        make_folder_durably(self._folder)
        told = msgspec.to_builtins(entry)
        write_privately(self._folder / f"{entry.name}.toml", HEAD + tomli_w.dumps(told))

    def begin(self, name: str, role: Role, serial: str) -> None:
        """Note a certificate before anybody has it: whatever happens, it can be refused later."""
        before = self.find(name) or Entry(name, role)
        self.write(replace(before, pending=serial, ended=before.gone))

    def finish(self, entry: Entry) -> None:
        """What was enrolled counts now, and only that of its name."""
        before = self.find(entry.name)
        ended: tuple[str, ...] = ()
        if before is not None:
            old = (*before.gone, *(() if before.serial is None else (before.serial,)))
            ended = tuple(serial for serial in old if serial != entry.serial)
        self.write(replace(entry, pending=None, ended=ended))

    def let_forget(self, name: str, now_s: float) -> None:
        """The server may remove what the broker keeps of it, until it is enrolled again."""
        before = self.find(name) or Entry(name, "device")
        self.write(replace(before, forgotten_s=int(now_s)))

    def revoke(self, name: str, now_s: float) -> bool:
        """Whether it belonged until now. Raises Refused if there is no such name."""
        before = self.find(name)
        if before is None or not before.was_enrolled:
            those = [entry.name for entry in self.entries() if entry.was_enrolled]
            known = ", ".join(those[:20]) or "none yet"
            raise Refused(
                f"{name} was never enrolled; those who were: {known}; for all to forget a device "
                f"that is no more: vedette fleet forget {name}"
            )
        if before.revoked_s is not None and before.pending is None:
            return False
        ended = (*before.gone, *(() if before.serial is None else (before.serial,)))
        revoked_s = before.revoked_s or int(now_s)
        self.write(
            replace(
                before, serial=None, password_hash=None, pending=None, ended=ended,
                revoked_s=revoked_s,
            )
        )  # fmt: skip
        return before.belongs

    def _read(self, path: Path) -> Entry:
        text = read(path)
        entry = typed(tables_of(text, str(path)), Entry, text, str(path))
        if entry.name != path.stem:
            raise Refused(f"{path}: name: {entry.name} belongs into {entry.name}.toml")
        return entry
