"""Where those who share a camera come: a socket in the run folder, and a thread that hears them."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from runtime.cameras import Camera
from runtime.sharing.capture import Capture
from runtime.sharing.newest import Newest
from runtime.sharing.packets import Over
from runtime.sharing.reader import Gone, Reader
from wire.local import LONGEST_PATH, hold
from wire.troubles import Refused, Trouble, Unavailable

MOST_REFUSED = 4  # who wait to be told at a time that there is no room for them
LOOK_S = 5.0  # how often the socket is looked for, in case somebody removed it

log = logging.getLogger("vedette.cameras")


class Listening:
    """Listens at `path`. most: how many readers are served at a time."""

    def __init__(
        self, path: Path, most: int, camera: Camera, newest: Newest, capture: Capture
    ) -> None:
        self._path = path
        self._most = most
        self._camera = camera
        self._newest = newest
        self._capture = capture
        self._socket: socket.socket | None = None
        self._lock: IO[str] | None = None
        self._trouble: str | None = None
        self._readers: dict[int, tuple[socket.socket, Reader]] = {}
        self._ringing = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._is_closing = False
        self._poll = select.poll()
        self._poll.register(self._ringing, select.POLLIN)
        self._thread = threading.Thread(target=self._work, name="sharing", daemon=True)

    def open(self, insist: bool) -> None:
        """Begin. A folder that cannot be used is tried again and again, unless `insist`: then what
        is wrong with it is raised."""
        if insist:
            self._insist()
        self._newest.readers.append(self._look)
        self._newest.ring = self._ring
        self._keep_open()
        self._thread.start()

    def _insist(self) -> None:
        try:
            self._bind()
        except BaseException:
            os.close(self._ringing)
            raise

    def close(self) -> None:
        """Send everybody away."""
        self._is_closing = True
        self._ring()
        self._thread.join()
        self._newest.readers.remove(self._look)
        with self._newest.changed:
            for number in list(self._readers):
                self._dismiss(number, Over("its owner ends"))
        self._shut()
        self._newest.ring = lambda: None
        os.close(self._ringing)

    def _work(self) -> None:
        look_s = time.monotonic() + LOOK_S
        while not self._is_closing:
            events = self._poll.poll(LOOK_S * 1000)
            if time.monotonic() >= look_s:
                look_s = time.monotonic() + LOOK_S
                self._keep_open()
            for number, _ in events:
                if number == self._ringing:
                    os.eventfd_read(self._ringing)
                    self._tell_found()
                elif number in self._readers:
                    self._hear(number)
            self._sweep()  # who left makes room for who comes
            if self._socket is not None and self._socket.fileno() in dict(events):
                self._welcome(self._socket)

    def _hear(self, number: int) -> None:
        with self._newest.changed:
            if not self._readers[number][1].is_gone:
                self._try(number, self._readers[number][1].hear)

    def _ring(self) -> None:
        os.eventfd_write(self._ringing, 1)

    def _tell_found(self) -> None:
        with self._newest.changed:
            taken = self._newest.take_found()
            overtaken = self._newest.take_overtaken()
            for _, reader in self._readers.values():
                reader.miss_found(overtaken)
            if taken is None:
                return
            for number, (_, reader) in list(self._readers.items()):
                if not reader.is_gone:
                    self._try(number, lambda _, reader=reader: reader.hear_found(*taken))
            self._newest.put_down(taken[0])

    def _look(self) -> None:
        """Something is new. `changed` held, on the capture thread or ours."""
        freed = self._newest.buffers.freed
        gone = [freed.popleft() for _ in range(len(freed))]
        for number, (_, reader) in list(self._readers.items()):
            if gone:
                reader.forget(gone)
            if not reader.is_gone:
                self._try(number, reader.look)

    def _try(self, number: int, act: Callable[..., None]) -> None:
        """`changed` held. A reader that breaks the rules is sent away; others never notice."""
        reader = self._readers[number][1]
        try:
            act(self._camera.layout)
        except Gone:
            reader.close()
        except Refused as trouble:
            log.warning("who shares the camera by %s is sent away: %s", self._path.name, trouble)
            with contextlib.suppress(Gone):
                reader.say(Over(str(trouble)))
            reader.close()
        if reader.is_gone:
            with contextlib.suppress(OSError):  # our thread sees it, and closes it
                self._readers[number][0].shutdown(socket.SHUT_RDWR)

    def _sweep(self) -> None:
        with self._newest.changed:
            for number in [one for one, (_, reader) in self._readers.items() if reader.is_dumb()]:
                self._dismiss(number, Over("it says nothing"))
            for number in [one for one, (_, reader) in self._readers.items() if reader.is_gone]:
                self._dismiss(number, None)

    def _dismiss(self, number: int, word: Over | None) -> None:
        ours, reader = self._readers.pop(number)
        if word is not None:
            with contextlib.suppress(Gone):
                reader.say(word)
        reader.close()
        self._poll.unregister(number)
        ours.close()

    def _welcome(self, listening: socket.socket) -> None:
        try:
            ours, _ = listening.accept()
        except BlockingIOError:  # gone again
            return
        except OSError as error:
            if self._trouble is None:
                log.warning("nobody more can share the camera now: %s", error.strerror)
            self._trouble = str(error)
            self._poll.modify(listening, 0)  # until the next look: it would never fall silent
            return
        self._trouble = None
        ours.setblocking(False)
        served = sum(not reader.refusal for _, reader in self._readers.values())
        if len(self._readers) >= self._most + MOST_REFUSED:
            ours.close()
            return
        reader = Reader(ours, self._newest, self._capture)
        if served >= self._most:
            reader.refusal = (
                f"{served} already share this camera, and no more can: end one of them, or run "
                "them as pipelines of vedette.toml, where each has its place"
            )
        self._poll.register(ours, select.POLLIN)
        with self._newest.changed:
            self._readers[ours.fileno()] = ours, reader

    def _keep_open(self) -> None:
        """Take the address, again if somebody removed it."""
        if self._socket is not None and self._path.is_socket():
            self._poll.modify(self._socket, select.POLLIN)
            return
        self._shut()
        why = None
        try:
            self._bind()
        except Trouble as trouble:
            why = str(trouble)
        if why is not None and self._trouble is None:
            log.warning("the camera is not shared: %s", why)
        elif why is None and self._trouble is not None:
            log.warning("the camera is shared at %s", self._path)
        self._trouble = why

    def _bind(self) -> None:
        if len(os.fsencode(self._path)) > LONGEST_PATH:
            raise Refused(f"{self._path}: longer than {LONGEST_PATH} bytes: choose a shorter --run")
        with contextlib.ExitStack() as undo:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                # held until it is shut
                lock = open(self._path.with_suffix(".lock"), "w")  # noqa: SIM115
                undo.callback(lock.close)
                hold(lock, self._path)
                listening = socket.socket(
                    socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK
                )
                undo.callback(listening.close)
                self._path.unlink(missing_ok=True)
                listening.bind(os.fspath(self._path))
                self._path.chmod(0o660)
                listening.listen(self._most)
            except OSError as error:
                raise Unavailable(
                    f"{self._path}: no socket can be made here: "
                    f"{os.strerror(error.errno or errno.EIO)}: may this user write to the folder? "
                    "(--run)"
                ) from None
            undo.pop_all()
        self._lock, self._socket = lock, listening
        self._poll.register(listening, select.POLLIN)

    def _shut(self) -> None:
        listening, self._socket = self._socket, None
        if listening is not None:
            self._poll.unregister(listening)
            listening.close()
            with contextlib.suppress(OSError):
                self._path.unlink()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
