"""The thread that calls a shared camera's methods, all of them, while somebody reads it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import numpy as np

from runtime.cameras import Camera
from runtime.frames import Aim, Frame, Pixels
from runtime.sharing.aims import for_all
from runtime.sharing.memory import Mapped, shared_memory
from runtime.sharing.newest import Newest
from wire.troubles import Unavailable

READ_S = 0.1  # the longest read: buffers go home and ends are obeyed between two
PATIENCE_S = 15.0  # for a camera that hangs

log = logging.getLogger("vedette.cameras")


class Capture:
    """Runs `camera` while it has users. users: aims of those who read it, by who they are; guarded
    by `newest.changed`, as is everything here. trouble: when the camera failed, its users are none
    any more, and this is why."""

    def __init__(self, camera: Camera, newest: Newest) -> None:
        self.users: dict[object, Aim | None] = {}
        self.is_running = False
        self.trouble: Exception = Unavailable("the camera was not started")
        self._camera = camera
        self._newest = newest
        self._copies: list[Mapped] = []
        self._is_copying = False
        self._is_closing = False
        self._thread = threading.Thread(target=self._work, name="capture", daemon=True)

    def open(self) -> None:
        """Begin to wait for users."""
        self._thread.start()

    def close(self) -> None:
        """End. Raises Unavailable if the camera hangs."""
        with self._newest.changed:
            self._is_closing = True
            self._newest.changed.notify_all()
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            raise Unavailable(f"the camera has hung for {PATIENCE_S:.0f} s: end the process")

    def join(self, user: object, aim: Aim | None) -> None:
        """Somebody reads from now on, or with another aim. `changed` held."""
        is_new = user not in self.users
        self.users[user] = aim
        if is_new:
            self._newest.changed.notify_all()

    def leave(self, user: object) -> None:
        """Somebody reads no more. `changed` held."""
        self.users.pop(user, None)
        self._newest.changed.notify_all()

    def _work(self) -> None:
        changed = self._newest.changed
        while not self._is_closing:
            with changed:
                changed.wait_for(lambda: self.users or self._is_closing or self._newest.has_homes())
            self._newest.send_home()
            if self.users and not self._is_closing:
                self._live()
        self._newest.send_home()

    def _live(self) -> None:
        """From the first user to the last."""
        trouble: Exception | None = None
        try:
            self._camera.aim = self._aim()
            self._camera.start()
            self._begin()
            while self.users and not self._is_closing:
                self._step()
        except Exception as error:
            trouble = error
        self._newest.empty()
        self._newest.send_home()
        try:
            self._camera.stop()
        except Exception as error:
            trouble = trouble or error
        self._end(trouble)

    def _begin(self) -> None:
        with self._newest.changed:
            self._newest.absent = self._camera.absent
            self._newest.count(self._camera.losses)
            self.is_running = True
            self._newest.tell()

    def _end(self, trouble: Exception | None) -> None:
        """Who reads learns of the trouble, and reads no more."""
        with self._newest.changed:
            self.is_running = False
            if trouble is not None:
                self.trouble = trouble
                self.users.clear()
            self._newest.tell()

    def _step(self) -> None:
        camera, newest = self._camera, self._newest
        newest.send_home()
        if (aim := self._aim()) != camera.aim:
            camera.aim = aim
        frame = camera.read(READ_S)
        if frame is not None:
            frame, memory = self._mapped(frame)
            if newest.absent is not None:
                newest.say_absent(None)
            newest.post(frame, memory, camera.losses)
        else:
            newest.say_missed(camera.losses)
        if camera.absent != newest.absent:
            newest.say_absent(camera.absent)

    def _aim(self) -> Aim | None:
        with self._newest.changed:
            aims: Sequence[Aim | None] = list(self.users.values())
        return for_all(aims, self._camera.layout.source)

    def _mapped(self, frame: Frame) -> tuple[Frame, Mapped]:
        """The same frame in memory that others can map: as it is, or else copied once."""
        lent = frame.memory
        if isinstance(lent, Mapped) and lent.descriptor is not None:
            return frame, lent
        with frame:
            seen: Pixels = np.frombuffer(lent, np.uint8)  # type: ignore[arg-type]
            memory = self._room(seen.size)
            np.copyto(np.frombuffer(memory, np.uint8)[: seen.size], seen)
            del seen
        home = self._copies.append
        return Frame(
            frame.seq, frame.captured_ns, frame.layout, memory, lambda: home(memory)
        ), memory

    def _room(self, size: int) -> Mapped:
        while self._copies:
            memory = self._copies.pop()
            if len(memory) >= size:
                return memory
        if not self._is_copying:
            self._is_copying = True
            log.info("this camera's memory cannot be mapped by others: each frame is copied once")
        return shared_memory(size)
