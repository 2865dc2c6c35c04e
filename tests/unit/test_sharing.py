"""One camera, several readers: the same memory, newest first, and nobody waits for another."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from runtime.cameras import Camera, Ended, make_camera, open_camera
from runtime.frames import Aim, Frame
from runtime.sharing.aims import for_all
from runtime.sharing.own import OwnCamera
from runtime.sharing.owner import shared
from tests.by_hand import HandCamera, HandClock
from tests.recordings import write_video
from tests.sharing import Wrapped, lending
from wire.troubles import Refused, Unavailable

LIVE = "synthetic://64x48@100"


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnCamera]:
    with lending(LIVE, tmp_path) as own:
        yield own
        own.stop()


@pytest.fixture
def door(own: OwnCamera, tmp_path: Path) -> Iterator[Camera]:
    with open_camera(f"pipeline://door?run={tmp_path}") as camera:
        yield camera


def until(happens: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.01)


def frame_of(camera: Camera, seconds: float = 10.0) -> Frame:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (frame := camera.read(0.5)) is not None:
            return frame
    raise AssertionError(f"no frame; absent: {camera.absent}")


def runs(own: OwnCamera) -> bool:
    """Whether its camera captures."""
    return own._capture.is_running


def reason(camera: Camera) -> str | None:
    """Why it is absent."""
    return camera.absent


def same_frame(one: Camera, other: Camera) -> tuple[Frame, Frame]:
    """The same frame, lent to both."""
    for _ in range(200):
        mine, its = frame_of(one), frame_of(other)
        if mine.seq == its.seq:
            return mine, its
        mine.release()
        its.release()
    raise AssertionError("never the same frame")


def test_both_read_the_same_memory_and_only_the_owner_can_write(
    own: OwnCamera, door: Camera
) -> None:
    own.start()
    mine, its = same_frame(own, door)
    assert mine.captured_ns == its.captured_ns and mine.layout == its.layout
    for value in (7, 201):
        mine.pixels[5, 6] = value
        assert (its.pixels[5, 6] == value).all(), "it is a copy"
    assert not its.pixels.flags.writeable
    mine.release()
    its.release()


@pytest.mark.parametrize(("uri", "copies"), [(LIVE, False), (f"opaque:{LIVE}", True)])
def test_only_what_cannot_be_mapped_is_copied(tmp_path: Path, uri: str, copies: bool) -> None:
    with lending(uri, tmp_path) as own, open_camera(f"pipeline://door?run={tmp_path}") as door:
        for _ in range(20):
            frame_of(door).release()
        until(lambda: not copies or own._capture._copies)
        assert bool(own._capture._copies) == copies


def test_a_slow_reader_slows_nobody(own: OwnCamera, door: Camera, tmp_path: Path) -> None:
    own.start()
    with open_camera(f"pipeline://door?run={tmp_path}") as slow, frame_of(slow) as held:
        before = held.pixels.copy()
        for _ in range(40):  # far more than there are buffers, and neither waits for the slow one
            with frame_of(own), frame_of(door):
                pass
        assert np.array_equal(held.pixels, before), "its memory was used again"


def test_each_reader_counts_what_it_missed(own: OwnCamera, door: Camera) -> None:
    own.start()
    with frame_of(own):
        missed = own.losses.skipped
    with frame_of(door) as frame:
        first, before = frame.seq, door.losses.skipped
    posted = own._newest.order
    until(lambda: own._newest.order > posted + 20)
    with frame_of(door) as frame:
        assert frame.seq - first > 10
        assert door.losses.skipped - before == frame.seq - first - 1
    assert own.losses.skipped == missed, "it has not looked since"


def test_who_leaves_gives_back_what_it_held(own: OwnCamera, door: Camera, tmp_path: Path) -> None:
    for _ in range(20):  # more than there are buffers
        with ExitStack() as stack:
            other = stack.enter_context(open_camera(f"pipeline://door?run={tmp_path}"))
            frame_of(other), frame_of(other)
        frame_of(door).release()


def test_the_camera_runs_while_anybody_reads_it(own: OwnCamera, tmp_path: Path) -> None:
    uri = f"pipeline://door?run={tmp_path}"
    assert not runs(own)
    own.start()
    with open_camera(uri) as door:
        own.stop()
        frame_of(door).release()
        own.start()
        frame_of(own).release()
        own.stop()
        assert runs(own)
    until(lambda: not runs(own))
    with open_camera(uri) as door:
        frame_of(door).release()


def test_more_readers_than_there_is_memory_for_are_refused(
    own: OwnCamera, door: Camera, tmp_path: Path
) -> None:
    uri = f"pipeline://door?run={tmp_path}"
    with open_camera(uri):
        with (
            pytest.raises(Unavailable, match=r"2 already share.*: end one of them"),
            open_camera(uri),
        ):
            pass
        frame_of(door).release()

    def again() -> bool:
        try:
            with open_camera(uri):
                return True
        except Unavailable:
            return False

    until(again)


def test_an_owner_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with (
        pytest.raises(Unavailable, match="pipeline door does not share"),
        open_camera(f"pipeline://door?run={tmp_path}"),
    ):
        pass  # fmt: skip
    for uri in ("pipeline://", "pipeline://a/b", "pipeline://door?x=1", f"pipeline://{'n' * 65}"):
        with pytest.raises(Refused):
            make_camera(uri)


def test_an_owner_that_goes_is_waited_for(tmp_path: Path) -> None:
    with ExitStack() as owner:
        owner.enter_context(lending(LIVE, tmp_path))
        with open_camera(f"pipeline://door?run={tmp_path}") as door:
            held = frame_of(door)
            shown = held.pixels.copy()
            owner.close()
            until(lambda: door.read(0.05) is None and reason(door) is not None)
            told = reason(door) or ""
            assert "door" in told and "waiting" in told
            assert np.array_equal(held.pixels, shown), "its memory went with its owner"
            began = time.monotonic()
            assert door.read(0.2) is None
            assert time.monotonic() - began < 5
            with lending(LIVE, tmp_path):
                frame_of(door).release()
                assert reason(door) is None
                held.release()
                for _ in range(50):
                    frame_of(door).release()


def test_a_socket_that_somebody_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.sharing.listening.LOOK_S", 0.05)
    uri = f"pipeline://door?run={tmp_path}"
    with lending(LIVE, tmp_path), open_camera(uri) as busy:
        path = tmp_path / "camera-door.sock"
        path.unlink()
        while not path.is_socket():
            frame_of(busy).release()
        with open_camera(f"pipeline://door?run={tmp_path}") as door:
            frame_of(door).release()


def test_absence_has_the_owners_reason(tmp_path: Path) -> None:
    class Fades(Wrapped):
        gone: str | None = None

        @property
        def absent(self) -> str | None:
            return self.gone

        def read(self, timeout: float) -> Frame | None:
            if self.gone is None:
                return self.inner.read(timeout)
            time.sleep(min(timeout, 0.02))
            return None

    camera = Fades(make_camera(LIVE))
    with shared(cast(Camera, camera), "door", tmp_path, 1) as own:
        own.start()
        with open_camera(f"pipeline://door?run={tmp_path}") as door:
            frame_of(door).release()
            camera.gone = "/dev/video0 was unplugged"
            until(lambda: door.read(0.05) is None and reason(door) is not None)
            assert reason(door) == "pipeline door: /dev/video0 was unplugged"
            until(lambda: own.read(0.05) is None and reason(own) is not None)
            assert reason(own) == "/dev/video0 was unplugged"
            camera.gone = None
            frame_of(door).release()
            assert reason(door) is None
            frame_of(own).release()
            assert reason(own) is None
        own.stop()


def test_what_is_lost_while_no_picture_comes_is_counted(tmp_path: Path) -> None:
    class Breaks(Wrapped):
        is_broken = False

        def read(self, timeout: float) -> Frame | None:
            if not self.is_broken:
                return self.inner.read(timeout)
            time.sleep(0.01)
            self.losses.decode += 1
            return None

    camera = Breaks(make_camera(LIVE))
    with (
        shared(cast(Camera, camera), "door", tmp_path, 1) as own,
        open_camera(f"pipeline://door?run={tmp_path}") as door,
    ):
        own.start()
        readers: tuple[Camera, ...] = (own, door)
        for reader in readers:
            frame_of(reader).release()
        camera.is_broken = True
        for reader in readers:
            for _ in range(3):
                until(partial(counts_more, reader, reader.losses.decode))
        camera.is_broken = False
        for reader in readers:
            frame_of(reader).release()
            assert reader.losses.decode == camera.losses.decode, "counted twice, or not at all"
        own.stop()


def counts_more(camera: Camera, before: int) -> bool:
    return not has_frame(camera) and camera.losses.decode > before


def has_frame(camera: Camera) -> bool:
    frame = camera.read(0.05)
    if frame is not None:
        frame.release()
    return frame is not None


def test_a_camera_that_cannot_start_says_so_to_both(tmp_path: Path) -> None:
    camera = HandCamera(HandClock(), trouble=Unavailable("no /dev/video0"))
    with shared(camera, "door", tmp_path, 1) as own:
        for _ in range(2):
            with pytest.raises(Unavailable, match="no /dev/video0"):
                own.start()
            with (
                pytest.raises(Unavailable, match="no /dev/video0"),
                open_camera(f"pipeline://door?run={tmp_path}"),
            ):
                pass  # fmt: skip


def test_a_recording_ends_for_both(tmp_path: Path) -> None:
    write_video(tmp_path / "film.avi", "MJPG", 10, fps=20)
    with lending(f"file://{tmp_path}/film.avi?pace=real", tmp_path) as own:
        with open_camera(f"pipeline://door?run={tmp_path}") as door:
            own.start()
            for camera in (own, door):
                with pytest.raises(Ended):
                    for _ in range(100):
                        if (frame := camera.read(0.5)) is not None:
                            frame.release()
        own.stop()


def test_pictures_are_as_large_as_the_reader_of_the_largest_wants(tmp_path: Path) -> None:
    write_video(tmp_path / "film.avi", "MJPG", 40, (320, 240), fps=60)
    small, large = Aim(40, 30, cover=False), Aim(160, 120, cover=True)
    with lending(f"file://{tmp_path}/film.avi?pace=100&loop=yes", tmp_path) as own:
        own.aim = small
        own.start()
        with frame_of(own) as frame:
            assert (frame.layout.width, frame.layout.source) == (40, (320, 240))
        with open_camera(f"pipeline://door?run={tmp_path}", large) as door:
            descriptors = len(os.listdir("/proc/self/fd"))
            for aim, width in ((large, 160), (None, 320), (small, 40), (None, 320)):
                door.aim = aim
                until(lambda width=width: width_of(door) == width)  # type: ignore[misc]
                until(lambda width=width: width_of(own) == width)  # type: ignore[misc]
            assert len(os.listdir("/proc/self/fd")) < descriptors + 60
        until(lambda: width_of(own) == 40)
        own.stop()


def width_of(camera: Camera) -> int:
    with frame_of(camera) as frame:
        return frame.layout.width


def test_the_aim_for_all_is_no_larger_than_it_must_be() -> None:
    wide, tall = Aim(640, 100, cover=False), Aim(320, 320, cover=False)
    assert for_all([wide, tall], (1280, 720)) == tall
    assert for_all([wide, None], (1280, 720)) is None
    assert for_all([], (0, 0)) is None
    unknown = for_all([wide, Aim(10, 200, cover=True)], (0, 0))
    assert unknown == Aim(640, 200, cover=True)
