"""The owner's own view of the camera that it shares: a Camera like the one inside."""

from __future__ import annotations

import queue
import time
from functools import partial

from runtime.cameras import Camera
from runtime.frames import Aim, Frame, Losses
from runtime.loop import Model, Result
from runtime.sharing.capture import PATIENCE_S, Capture
from runtime.sharing.newest import Bell, Finder, Loan, Newest
from runtime.sharing.packets import Counts
from wire.troubles import Unavailable

MOST_LOANS = 2  # as a V4L2 camera with its usual four buffers


class Tally:
    """What one reader missed, by what the owner of the camera counts."""

    def __init__(self, losses: Losses, counts: Counts) -> None:
        self._losses = losses
        self._before = counts

    def fits(self, counts: Counts, taken: int) -> bool:
        """Whether this can come next: another process may say anything."""
        before = self._before
        return (
            counts.captured >= before.captured + taken
            and counts.skipped >= before.skipped
            and counts.driver >= before.driver
            and counts.decode >= before.decode
            and counts.refused >= before.refused
        )

    def add(self, counts: Counts, taken: int) -> None:
        """counts: at the last picture that came, or when there was no newer one; taken: how many
        came since the last call."""
        losses, before = self._losses, self._before
        overtaken = counts.captured - before.captured - taken
        losses.skipped += overtaken + counts.skipped - before.skipped
        losses.driver += counts.driver - before.driver
        losses.decode += counts.decode - before.decode
        losses.refused += counts.refused - before.refused
        self._before = counts


class OwnCamera:
    """What the owner's loop reads. Its methods are called from one thread, the loop's."""

    def __init__(self, camera: Camera, newest: Newest, capture: Capture) -> None:
        self.layout = camera.layout
        self.losses = Losses()
        self.absent: str | None = None
        self._aim = camera.aim
        self._camera = camera
        self._newest = newest
        self._capture = capture
        self._tally = Tally(self.losses, Counts())
        self._had = -1
        self._loans = 0
        self._bell: Bell = queue.SimpleQueue()
        self._awaited: Loan | None = None  # its result is not there yet
        self._is_started = False

    @property
    def aim(self) -> Aim | None:
        return self._aim

    @aim.setter
    def aim(self, aim: Aim | None) -> None:
        self._aim = aim
        with self._newest.changed:
            if self in self._capture.users:
                self._capture.join(self, aim)

    def start(self) -> None:
        """Raises what the camera raises."""
        self.stop()
        newest, capture = self._newest, self._capture
        with newest.changed:
            capture.join(self, self._aim)
            newest.changed.wait_for(lambda: capture.is_running or self not in capture.users)
            if self not in capture.users:
                raise capture.trouble
            self._had = newest.order
            self._tally = Tally(self.losses, newest.counts)
            self._is_started = True
        self.layout = self._camera.layout
        self.absent = self._newest.absent

    def read(self, timeout: float) -> Frame | None:
        if not self._is_started:
            raise RuntimeError("read() of a camera that was not started")
        deadline = time.monotonic() + timeout
        if self._awaited is not None:  # nothing was found in it that is worth a word
            self._await(None)
        loan = self._take(deadline)
        self.absent = self._newest.absent
        if loan is None:
            return None
        self._had = loan.order
        self._tally.add(loan.counts, 1)
        self._loans += 1
        frame = loan.frame
        self.layout = frame.layout
        home = partial(self._come_home, loan)
        return Frame(frame.seq, frame.captured_ns, frame.layout, loan.memory, home)

    def say_model(self, model: Model) -> None:
        """By which the next result was found: who wants what it never finds is told."""
        self._newest.say_model(Finder(model.manifest, model.labels))

    def offer(self, result: Result) -> None:
        """What the loop's model found in the frame that came home last, for those who want to look
        at it more closely."""
        loan = self._awaited
        if loan is not None and loan.frame.seq == result.seq:
            self._awaited = None
            self._newest.keep_found(loan, result.found)

    def stop(self) -> None:
        """The camera runs on while others read it."""
        self._is_started = False
        self._await(None)
        capture, changed = self._capture, self._newest.changed
        with changed:
            capture.leave(self)
            if not changed.wait_for(lambda: capture.users or not capture.is_running, PATIENCE_S):
                raise Unavailable(f"the camera has hung for {PATIENCE_S:.0f} s: end the process")

    def _take(self, deadline: float) -> Loan | None:
        newest, capture = self._newest, self._capture
        absent = newest.absent
        while True:
            left = deadline - time.monotonic()
            if self._loans >= MOST_LOANS:  # only the caller can change that
                time.sleep(max(0.0, left))
                return None
            with newest.changed:
                if (loan := newest.take(self._had)) is not None:
                    return loan
                if self not in capture.users:
                    raise capture.trouble
                if left <= 0 or newest.absent != absent:
                    self._tally.add(newest.counts, 0)
                    return None
                newest.bell = self._bell
            if (loan := self._listen(left)) is not None:
                return loan

    def _listen(self, seconds: float) -> Loan | None:
        try:
            return self._bell.get(timeout=seconds)
        except queue.Empty:
            with self._newest.changed:
                self._newest.bell = None
        try:
            return self._bell.get_nowait()
        except queue.Empty:
            return None

    def _come_home(self, loan: Loan) -> None:
        self._loans -= 1
        if self._newest.cascades:
            self._await(loan)
        else:
            self._newest.give(loan)

    def _await(self, loan: Loan | None) -> None:
        before, self._awaited = self._awaited, loan
        self._newest.give(before)
