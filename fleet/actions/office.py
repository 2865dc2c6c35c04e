"""The office: one connection to broker and depot that keeps the shelf up and runs errands.

Who wants something posts an errand; the clerk, on a thread of its own, does one after the other. So
what is believed is refreshed by one at a time, and nobody overtakes himself.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from msgspec.structs import replace

from fleet.actions.place import ServedFolder
from fleet.actions.shelf import Shelf, shelf_of
from fleet.asking import MakeLink, Note
from fleet.offering.candidates import candidates
from fleet.offering.desk import AGAIN_S, Desk
from fleet.offering.offering import Session
from wire.backoff import Backoff
from wire.config import Broker
from wire.link import Link, Post
from wire.mqtt.mqtt import MqttLink
from wire.signing import SigningKey
from wire.troubles import Refused, Unavailable

REFRESH_S = 5.0
STEP_S = 1.0
MOST_ERRANDS = 32  # that wait

T = TypeVar("T")
log = logging.getLogger("vedette.office")


@dataclass
class Errand(Generic[T]):
    """Something to be done at the desk, which was refreshed just before. note: what is said on the
    way."""

    do: Callable[[Desk], T]
    note: Note
    done: Future[T] = field(default_factory=Future)

    def run(self, desk: Desk, then: Callable[[], None]) -> None:
        """then: is called before anybody hears that it is done."""
        if not self.done.set_running_or_notify_cancel():
            return
        try:
            desk.refresh()
            result = self.do(desk)
            then()
            self.done.set_result(result)
        except BaseException as error:
            self.done.set_exception(error)


class Office:
    """What others know of it. key: signs deployments; None: there is none. Any thread."""

    def __init__(self, folder: ServedFolder, key: SigningKey | None) -> None:
        self.folder = folder
        self.key = key
        self.shelf = Shelf()
        self._errands: queue.Queue[Errand[object]] = queue.Queue(MOST_ERRANDS)
        self._session: Session | None = None
        self._is_ended = False

    def works_by(self, session: Session) -> None:
        """For the clerk: before it is connected."""
        self._session = session
        if self._is_ended:
            session.end()

    def end(self) -> None:
        """The clerk waits no longer for broker and depot, which may be away: it can end at once."""
        self._is_ended = True
        if self._session is not None:
            self._session.end()

    def ask(self, do: Callable[[Desk], T], note: Note) -> Future[T]:
        """Have something done. Raises Unavailable where too much waits already."""
        errand = Errand(do, note)
        try:
            self._errands.put_nowait(errand)  # type: ignore[arg-type]
        except queue.Full:
            raise Unavailable("too much is being done already: try again in a while") from None
        return errand.done

    def next(self, timeout_s: float) -> Errand[object] | None:
        """For the clerk."""
        with contextlib.suppress(queue.Empty):
            return self._errands.get(timeout=timeout_s)
        return None

    def complain(self, error: Refused | Unavailable, now_s: float) -> None:
        """What is on the shelf is no longer the newest."""
        shelf = self.shelf
        since_s = shelf.trouble_s if shelf.trouble is not None else now_s
        self.shelf = replace(shelf, trouble=str(error), trouble_s=since_s)

    def fail(self, error: Refused | Unavailable, now_s: float) -> None:
        """Nothing can be done now: who waits is told so."""
        self.complain(error, now_s)
        while (errand := self.next(0)) is not None:
            if errand.done.set_running_or_notify_cancel():
                errand.done.set_exception(error)


class Clerk:
    """A part of the server: `step` until it is closed. clock: Unix seconds."""

    def __init__(self, office: Office, clock: Callable[[], float] = time.time) -> None:
        """Raises Unavailable where there is no broker, or the folder has no root."""
        self._office = office
        self._clock = clock
        self._note: Note = lambda text: log.info("%s", text)
        self._refresh_s = 0.0  # when, by time.monotonic
        self._session = Session(link_to(office.folder.broker), office.folder.name, self._hear)
        office.works_by(self._session)
        try:
            self._session.__enter__()
        except (Refused, Unavailable) as error:
            office.fail(error, clock())
            raise
        try:
            self._desk = Desk(office.folder, self._session, office.key)
        except (Refused, Unavailable) as error:
            self._session.__exit__(None, None, None)
            office.fail(error, clock())
            raise

    def step(self) -> None:
        """Do what was asked for; else look whether there is news, now and then."""
        self._session.step(0)
        errand = self._office.next(STEP_S)
        if errand is not None:
            self._note = errand.note
            errand.run(self._desk, self._put_up)
            self._note = lambda text: log.info("%s", text)
            self._refresh_s = 0.0
        if time.monotonic() >= self._refresh_s:
            self._refresh()
            self._refresh_s = time.monotonic() + REFRESH_S

    def status(self) -> str:
        trusted = self._office.shelf.trusted
        if trusted is None:
            return "nothing is known of the fleet's models yet"
        return f"release {trusted.targets}, deployments {trusted.deployments}"

    def trouble(self) -> str | None:
        return self._office.shelf.trouble

    def close(self) -> None:
        self._session.__exit__(None, None, None)
        self._office.fail(Unavailable("the server ends: try again in a while"), self._clock())

    def _refresh(self) -> None:
        try:
            self._desk.refresh()
            waiting = candidates(self._session)
            self._office.shelf = replace(self._office.shelf, candidates=waiting)
        except (Refused, Unavailable) as error:
            self._office.complain(error, self._clock())
        else:
            self._put_up()

    def _put_up(self) -> None:
        """Show on the shelf what the desk believes."""
        key, waiting = self._office.key, self._office.shelf.candidates
        public = None if key is None else key.public
        try:
            self._office.shelf = shelf_of(self._desk, waiting, public, self._clock())
        except (Refused, Unavailable) as error:
            self._office.complain(error, self._clock())

    def _hear(self, text: str) -> None:
        self._note(text)


def link_to(broker: Broker) -> MakeLink:
    def make(client_id: str, post: Post) -> Link:
        return MqttLink(broker, client_id, post, backoff=Backoff(most_s=AGAIN_S))

    return make
