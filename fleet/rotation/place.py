"""Where a change of keys comes into force: in the depot's folder if it is at rest, or by MQTT."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from fleet.folder import FleetFolder, check_is_operators
from fleet.offering.desk import Desk, hand_over, note, open_session
from fleet.offering.files import in_memory
from fleet.offering.offering import Session
from fleet.roles import roles
from fleet.rotation.rotation import Change, State
from fleet.signer.signer import Signer
from wire.durable import write_durably
from wire.release import METADATA
from wire.troubles import Refused, Unavailable
from wire.trust.updating import Expired


class Place(Protocol):
    """The fleet's signed metadata."""

    @property
    def state(self) -> State: ...

    def command_keys(self) -> tuple[str, ...]: ...

    def put_in_force(self, change: Change) -> None:
        """Raises Refused with what is wrong, Unavailable."""
        ...


@contextlib.contextmanager
def open_place(fleet: FleetFolder) -> Iterator[Place]:
    """A `with`. Raises Unavailable where neither the depot's folder is here nor a depot answers."""
    check_is_operators(fleet)
    try:
        signer = _signer(fleet.depot)
    except Unavailable as here:
        with contextlib.ExitStack() as stack:
            yield _reached(fleet, stack, str(here))
        return
    try:
        _check_is_newest(fleet, signer)
        yield LocalDepot(signer)
    finally:
        signer.close()


def _signer(depot: Path) -> Signer:
    """Unavailable: the depot's folder is elsewhere, or `vedette fleet depot` works on it now."""
    if not depot.is_dir():
        raise Unavailable(f"{depot}: is not on this machine")
    return Signer(depot)


def _reached(fleet: FleetFolder, stack: contextlib.ExitStack, here: str) -> RemoteDepot:
    """stack: of what is to be closed. here: why the folder cannot be worked on."""
    try:
        session = stack.enter_context(open_session(fleet))
        return RemoteDepot(Desk(fleet, session), session)
    except Unavailable as there:
        raise Unavailable(f"{there}; and {here}") from None


def _check_is_newest(fleet: FleetFolder, signer: Signer) -> None:
    """Two depots that each go on with another release would lock devices out. Raises Refused."""
    try:
        seen = roles.version_of((fleet.trust / "timestamp.json").read_bytes())
    except (OSError, Refused):
        return
    if seen > signer.versions.timestamp:
        raise Refused(
            f"{fleet.depot}: is older than what the depot said before: if it is a copy that was "
            "left behind, move it away, and the depot is reached over MQTT; if it is a backup and "
            f"all that is left, remove {fleet.trust}, and vedette fleet keys rotate online"
        )


class LocalDepot:
    """The depot's folder, which is ours until the end of the `with`."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    @property
    def state(self) -> State:
        return State(self._signer.held.root, self._signer.held.targets)

    def command_keys(self) -> tuple[str, ...]:
        return self._signer.command_keys()

    def put_in_force(self, change: Change) -> None:
        files: dict[str, Path] = {}
        if change.commands is not None:
            digest = hashlib.sha256(change.commands).hexdigest()
            files[digest] = self._signer.place.incoming / digest
            with self._signer.place.writing():
                write_durably(files[digest], change.commands)
        roots = [] if change.root is None else [change.root]
        if self._signer.take_release(roots, change.targets, files):
            folder = self._signer.place.folder
            note(f"{folder} holds the change: if the depot runs on a copy of it, move it there")


class RemoteDepot:
    """A depot that is reached over MQTT. Raises Unavailable where none answers, Refused."""

    def __init__(self, desk: Desk, session: Session) -> None:
        self._desk = desk
        self._session = session
        self._refresh()

    @property
    def state(self) -> State:
        return State(self._desk.chain.root, self._desk.chain.targets)

    def command_keys(self) -> tuple[str, ...]:
        return self._desk.trust.command_keys()

    def put_in_force(self, change: Change) -> None:
        named = (("root", change.root), ("targets", change.targets))
        files = [
            in_memory(f"{METADATA}{roles.version_of(content)}.{role}.json", content)
            for role, content in named
            if content is not None
        ]
        if change.commands is not None:
            files.append(in_memory(change.commands_path, change.commands))
        hand_over(self._session, "release", files, "the change of keys")
        self._refresh()
        wanted = State(change.root or self.state.root, change.targets or self.state.targets)
        if self.state != wanted:
            raise Unavailable("the depot took it, but others are in force now: run it again")

    def _refresh(self) -> None:
        """What has expired is signed anew from here: that it has must not be in the way."""
        try:
            self._desk.refresh()
        except Expired:
            self._desk.trust.refresh_expired()
