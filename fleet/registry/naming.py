"""The numbers of names: of devices, pipelines and releases. A number is never given to another."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from sqlalchemy import Connection, func, insert, select

from fleet.registry.rows import add
from fleet.registry.tables import DEVICE, PIPELINE, RELEASE
from wire.names import NAME_PATTERN

MOST_DEVICES = 100_000  # a broker that lets anybody in may be told any number of names
MOST_PIPELINES = 1000
MOST_RELEASES = 10_000
MOST_AT_ONCE = 500  # in one question
LONGEST = 64
OTHERS = ("(others)", "")  # the release of what is beyond that
Release = tuple[str, str]  # model, version
_NAME = re.compile(NAME_PATTERN)


def is_name(name: str) -> bool:
    return _NAME.match(name) is not None


def short(text: str) -> str:
    """A text that a device made up, as it may be kept: PostgreSQL takes no NUL."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:LONGEST]


class Numbers:
    """What this process knows of them. One thread at a time."""

    def __init__(self) -> None:
        self.devices: dict[str, int] = {}
        self._pipelines: dict[str, int] = {}
        self._releases: dict[Release, int] = {}

    def find_devices(self, connection: Connection, names: Collection[str]) -> None:
        """Look up those of which the number is not known."""
        unknown = [name for name in names if name not in self.devices]
        for some in in_turns(unknown):
            rows = connection.execute(
                select(DEVICE.c.name, DEVICE.c.id).where(DEVICE.c.name.in_(some))
            )
            self.devices.update((name, number) for name, number in rows)

    def make_devices(self, connection: Connection, first_heard: dict[str, float]) -> None:
        """Give numbers to devices that have none, as far as there is room. first_heard: Unix
        seconds, by name."""
        self.find_devices(connection, first_heard)
        new = [name for name in first_heard if name not in self.devices]
        if not new:
            return
        known = connection.execute(select(func.count()).select_from(DEVICE)).scalar_one()
        room = max(0, MOST_DEVICES - int(known))
        add(connection, DEVICE, [{"name": n, "first_heard_s": first_heard[n]} for n in new[:room]])
        self.find_devices(connection, new)

    def pipeline(self, connection: Connection, name: str) -> int | None:
        """None: there is no room for more."""
        if name in self._pipelines:
            return self._pipelines[name]
        self._pipelines = {
            found: number
            for number, found in connection.execute(select(PIPELINE.c.id, PIPELINE.c.name))
        }
        if name not in self._pipelines:
            if len(self._pipelines) >= MOST_PIPELINES:
                return None
            made = connection.execute(insert(PIPELINE).values(name=name))
            self._pipelines[name] = _key_of(made.inserted_primary_key)
        return self._pipelines[name]

    def release(self, connection: Connection, release: Release) -> int:
        """Of a model and its version; beyond all room, that of all others."""
        if release in self._releases:
            return self._releases[release]
        rows = connection.execute(select(RELEASE.c.id, RELEASE.c.model, RELEASE.c.version))
        self._releases = {(model, version): number for number, model, version in rows}
        if release not in self._releases:
            if len(self._releases) >= MOST_RELEASES and release != OTHERS:
                return self.release(connection, OTHERS)
            model, version = release
            made = connection.execute(insert(RELEASE).values(model=model, version=version))
            self._releases[release] = _key_of(made.inserted_primary_key)
        return self._releases[release]

    def forget(self) -> None:
        """After a transaction that was not stored: what it gave is not given."""
        self.devices.clear()
        self._pipelines.clear()
        self._releases.clear()


def releases_of(connection: Connection, numbers: Iterable[int]) -> dict[int, Release]:
    wanted = set(numbers)
    found: dict[int, Release] = {}
    for some in in_turns(list(wanted)):
        query = select(RELEASE.c.id, RELEASE.c.model, RELEASE.c.version)
        for number, model, version in connection.execute(query.where(RELEASE.c.id.in_(some))):
            found[number] = (model, version)
    return found


def wanted_releases(
    connection: Connection, model: str | None, version: str | None
) -> list[int] | None:
    """The numbers of what is asked for; None: of all."""
    if model is None and version is None:
        return None
    query = select(RELEASE.c.id)
    if model is not None:
        query = query.where(RELEASE.c.model == model)
    if version is not None:
        query = query.where(RELEASE.c.version == version)
    return list(connection.execute(query).scalars())


def in_turns(many: list[int] | list[str]) -> Iterable[list[int] | list[str]]:
    for start in range(0, len(many), MOST_AT_ONCE):
        yield many[start : start + MOST_AT_ONCE]


def _key_of(key: Sequence[object] | None) -> int:
    assert key is not None and isinstance(key[0], int)
    return key[0]
