"""A bundle from a browser becomes a candidate in the depot. It is verified, and never executed."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from fleet.actions.jobs import Ended
from fleet.actions.office import link_to
from fleet.actions.place import ServedFolder
from fleet.asking import Note
from fleet.depot.candidates import LARGEST
from fleet.offering.candidates import DIGITS
from fleet.offering.files import Offered
from fleet.offering.offering import Session
from fleet.offering.release import candidate_files, read_parcels
from fleet.wording import size
from wire.offers import OfferAnswer
from wire.troubles import Refused, Unavailable

LEAST_FREE = 256 << 20  # bytes of the disk that uploads leave
MOST_AT_ONCE = 2


class Uploads:
    """Files that come from browsers, in a folder of their own: one that is there when the server
    starts is of nobody."""

    def __init__(self, folder: ServedFolder) -> None:
        self._folder = folder
        self._coming = 0
        shutil.rmtree(folder.uploads, ignore_errors=True)

    async def receive(self, content: AsyncIterator[bytes]) -> Path:
        """Write down what comes. Whoever gets the path removes the file. Raises Refused: it is too
        large, or no zip; Unavailable: there is no room, or others are at it."""
        if self._coming >= MOST_AT_ONCE:
            raise Unavailable("others are uploading: try again in a while")
        self._coming += 1
        try:
            return await self._receive(content)
        except OSError as error:
            raise Unavailable(f"the file cannot be written: {error.strerror}") from None
        finally:
            self._coming -= 1

    async def _receive(self, content: AsyncIterator[bytes]) -> Path:
        place = self._folder.uploads
        place.mkdir(mode=0o700, exist_ok=True)
        path = place / f"{secrets.token_hex(8)}.zip"
        done = 0
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                async for piece in content:
                    if done == 0 and piece and not piece.startswith(b"PK"[: len(piece)]):
                        raise Refused("this is no bundle: vedette fleet pack makes one")
                    done += len(piece)
                    self._check(done, place)
                    file.write(piece)
            if not done:
                raise Refused("nothing came: choose a bundle that vedette fleet pack made")
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    @staticmethod
    def _check(done: int, place: Path) -> None:
        if done > LARGEST:
            raise Refused(f"a candidate has {LARGEST >> 20} MiB at most")
        if shutil.disk_usage(place).free < LEAST_FREE:
            raise Unavailable("the server's disk is nearly full: make room, and try again")


def offer(folder: ServedFolder, path: Path, named: str, note: Note) -> Ended:
    """Verify a bundle and hand it to the depot, where it waits for `vedette fleet sign`. The file
    is removed. named: as its owner calls it. Raises Refused, Unavailable."""
    try:
        note(f"looking at every byte of {size(path.stat().st_size)}")
        try:
            parcels = read_parcels([path])
        except Refused as refused:
            raise Refused(str(refused).replace(str(path), named)) from None
        (parcel,) = parcels.parcels
        with Session(link_to(folder.broker), folder.name, note) as session:
            offered = Offered(session.new_id(), candidate_files(parcel))
            note(f"handing {parcels.words} to the depot")
            session.hand_over("candidate", offered, _Told(note).tell)
    finally:
        path.unlink(missing_ok=True)
    return Ended(
        f"{parcels.words} ({parcel.variant.format}, {size(parcel.size)}) waits in the depot: "
        f"vedette fleet sign {parcel.digest[:DIGITS]}",
        awaits=parcel.digest,
    )


class _Told:
    """Says every tenth of the way."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self._tenth = 0

    def tell(self, answer: OfferAnswer) -> None:
        if answer.phase != "fetching" or not answer.total_bytes:
            return
        tenth = 10 * answer.done_bytes // answer.total_bytes
        if tenth > self._tenth:
            self._tenth = tenth
            self._note(f"the depot has {min(100, 10 * tenth)} % of it")
