"""A thread that fills memory beside its consumer: order, overtaking, errors, ends."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from runtime import ahead
from runtime.ahead import Ahead, Slot, in_order, newest_wins
from runtime.frames import Frame, Losses, packed
from wire.troubles import Unavailable


class Counter:
    """Fills slots with pictures that show their number; ends with an error after `count`."""

    def __init__(self, count: int, sizes: tuple[int, ...] = (8,)) -> None:
        self.made = 0
        self._count = count
        self._sizes = sizes

    def fill(self, slot: Slot) -> bool:
        if self.made == self._count:
            raise EOFError("no more")
        layout = packed("GREY", self._sizes[self.made % len(self._sizes)], 4)
        slot.room(layout)[: layout.nbytes] = self.made
        slot.seq, slot.captured_ns = self.made, time.monotonic_ns()
        self.made += 1
        return True


def number_in(frame: Frame) -> int:
    shown = {int(value) for value in frame.pixels.flat}
    assert shown == {frame.seq}
    return frame.seq


def test_in_order_nothing_is_lost_however_slow_the_reader() -> None:
    losses, counter = Losses(), Counter(50)
    filling = Ahead(counter.fill, in_order, losses)
    filling.start()
    found = []
    with pytest.raises(EOFError):
        while (frame := filling.read(5)) is not None:
            with frame:
                time.sleep(0.002 * (frame.seq % 3))
                found.append(number_in(frame))
                assert counter.made <= frame.seq + ahead.SLOTS + 1
    filling.stop()
    assert found == list(range(50))
    assert losses == Losses()


def test_newest_wins_and_every_overtaken_picture_is_counted() -> None:
    losses, counter = Losses(), Counter(200)
    filling = Ahead(counter.fill, newest_wins, losses)
    filling.start()
    time.sleep(0.2)
    found = []
    with pytest.raises(EOFError):
        while (frame := filling.read(5)) is not None:
            with frame:
                found.append(number_in(frame))
    filling.stop()
    assert found[-1] == 199, "the newest is not what is left"
    assert len(found) + losses.skipped == 200 and losses.skipped > 0


def test_an_error_comes_after_what_was_ready_and_comes_again() -> None:
    filling = Ahead(Counter(2).fill, in_order, Losses())
    filling.start()
    time.sleep(0.05)
    for number in range(2):
        with filling.read(5) as frame:  # type: ignore[union-attr]
            assert number_in(frame) == number
    for _ in range(3):
        with pytest.raises(EOFError, match="no more"):
            filling.read(5)
    filling.stop()


def test_a_lent_picture_is_not_touched_and_may_come_home_late() -> None:
    filling = Ahead(Counter(100).fill, newest_wins, Losses())
    filling.start()
    held = filling.read(5)
    assert held is not None
    with pytest.raises(EOFError):
        while (frame := filling.read(5)) is not None:
            frame.release()
    assert number_in(held) == held.seq
    filling.stop()
    filling.start()  # a new life: what comes home now belongs to the old one
    held.release()
    with pytest.raises(EOFError):
        filling.read(5)
    filling.stop()


def test_memory_is_allocated_once_for_the_largest_size() -> None:
    counter = Counter(200, sizes=(64, 8, 32))
    filling = Ahead(counter.fill, in_order, Losses())
    filling.start()
    places = []
    for _ in range(150):
        with filling.read(5) as frame:  # type: ignore[union-attr]
            assert frame.pixels.shape[1] == (64, 8, 32)[frame.seq % 3]
            number_in(frame)
            places.append(frame.pixels.__array_interface__["data"][0])
    filling.stop()
    assert len(set(places[-100:])) == ahead.SLOTS


def test_a_slot_grows_and_never_shrinks() -> None:
    slot = Slot()
    large = slot.room(packed("RGB3", 64, 48))
    assert large.size == 64 * 48 * 3
    assert slot.room(packed("RGB3", 32, 24)) is large
    assert slot.room(packed("RGB3", 65, 48)).size == 65 * 48 * 3


@pytest.mark.parametrize("deliver", [in_order, newest_wins])
def test_read_gives_up_in_time_and_stop_ends_a_fill_that_has_nothing(
    deliver: ahead.Deliver,
) -> None:
    def nothing(slot: Slot) -> bool:
        time.sleep(0.01)
        return False

    filling = Ahead(nothing, deliver, Losses())
    filling.start()
    assert filling.read(0.05) is None
    assert filling.read(0) is None
    filling.stop()
    filling.stop()
    assert "ahead" not in [thread.name for thread in threading.enumerate()]


def test_stop_ends_a_thread_that_waits_for_room() -> None:
    filling = Ahead(Counter(1000).fill, in_order, Losses())
    filling.start()
    held = [filling.read(5) for _ in range(ahead.SLOTS)]
    assert None not in held
    assert filling.read(0.05) is None
    filling.stop()
    assert "ahead" not in [thread.name for thread in threading.enumerate()]


def test_stop_does_not_hang_with_a_fill_that_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PATIENCE_S", 0.05)
    free = threading.Event()

    def hangs(slot: Slot) -> bool:
        return free.wait(30)

    filling = Ahead(hangs, newest_wins, Losses())
    filling.start()
    with pytest.raises(Unavailable, match="hung"):
        filling.stop()
    free.set()


def test_a_kept_view_is_found_out() -> None:
    filling = Ahead(Counter(10).fill, in_order, Losses())
    filling.start()
    frame = filling.read(5)
    assert frame is not None
    kept = np.asarray(frame.pixels)[1:]
    with pytest.raises(RuntimeError, match="outlived"):
        frame.release()
    del kept
    filling.stop()
