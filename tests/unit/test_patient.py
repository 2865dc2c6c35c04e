"""A camera that is missing, lost or silent is absent and opened again; the service goes on."""

from __future__ import annotations

import pytest

from runtime.cameras import Ended
from runtime.cameras.patient import LAST_RETRY_S, SILENT_S, PatientCamera
from tests.by_hand import HandCamera, HandClock, grey
from wire.troubles import Refused, Trouble, Unavailable

STEP_S = 0.5


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def inner(clock: HandClock) -> HandCamera:
    return HandCamera(clock)


@pytest.fixture
def camera(inner: HandCamera, clock: HandClock) -> PatientCamera:
    return PatientCamera(inner, clock, clock.sleep)


def read_for(camera: PatientCamera, clock: HandClock, seconds: float) -> int:
    """How many frames came."""
    end_s = clock() + seconds
    frames = 0
    while clock() < end_s:
        frame = camera.read(STEP_S)
        if frame is not None:
            frame.release()
            frames += 1
    return frames


def read_one(camera: PatientCamera) -> None:
    frame = camera.read(STEP_S)
    assert frame is not None
    frame.release()


def test_frames_pass(camera: PatientCamera, inner: HandCamera) -> None:
    camera.start()
    inner.frames.append(grey())
    read_one(camera)
    assert camera.absent is None and camera.losses is inner.losses
    camera.stop()
    assert inner.stops == 1


@pytest.mark.parametrize("trouble", [Unavailable("no /dev/video0"), Refused("it has no 9x9")])
def test_a_camera_that_does_not_start_is_absent_and_tried_again(
    camera: PatientCamera, inner: HandCamera, clock: HandClock, trouble: Trouble
) -> None:
    inner.trouble = trouble
    camera.start()
    assert camera.absent == str(trouble)
    read_for(camera, clock, 20)
    assert camera.absent == str(trouble) and 4 <= inner.starts <= 8
    inner.trouble = None
    read_for(camera, clock, LAST_RETRY_S)
    inner.frames.append(grey())
    read_one(camera)
    assert camera.absent is None


def test_it_is_tried_less_and_less_often_but_for_ever(
    camera: PatientCamera, inner: HandCamera, clock: HandClock
) -> None:
    inner.trouble = Unavailable("gone")
    camera.start()
    read_for(camera, clock, 3600)
    assert 3600 / LAST_RETRY_S - 5 <= inner.starts <= 3600 / LAST_RETRY_S + 10


def test_no_read_takes_longer_than_its_timeout(
    camera: PatientCamera, inner: HandCamera, clock: HandClock
) -> None:
    inner.trouble = Unavailable("gone")
    camera.start()
    for _ in range(100):
        before_s = clock()
        assert camera.read(STEP_S) is None
        assert clock() - before_s <= STEP_S + 1e-6


def test_a_silent_camera_is_opened_again_and_absent_until_a_frame_comes(
    camera: PatientCamera, inner: HandCamera, clock: HandClock
) -> None:
    camera.start()
    inner.frames.append(grey())
    read_one(camera)
    read_for(camera, clock, SILENT_S - 2 * STEP_S)
    assert camera.absent is None and inner.starts == 1
    read_for(camera, clock, 3 * STEP_S)
    assert camera.absent is not None and "no frame for 10 s" in camera.absent
    assert (inner.starts, inner.stops) == (2, 1)
    read_for(camera, clock, 8)
    assert camera.absent is not None, "running again is not enough: no frame came yet"
    inner.frames.append(grey())
    read_one(camera)
    assert camera.absent is None


def test_each_time_in_vain_it_is_given_twice_as_long(
    camera: PatientCamera, inner: HandCamera, clock: HandClock
) -> None:
    camera.start()
    read_for(camera, clock, 1000)
    patience_s = [10, 20, 40] + 11 * [80]
    assert sum(patience_s) < 1000 < sum(patience_s) + 80
    assert inner.starts == 1 + len(patience_s)


def test_a_slow_model_does_not_make_its_camera_silent(
    camera: PatientCamera, inner: HandCamera, clock: HandClock
) -> None:
    """The silence begins when somebody waits for a frame, not when the last one came."""
    camera.start()
    for _ in range(5):
        inner.frames.append(grey())
        read_one(camera)
        clock.sleep(60)  # inference
        assert camera.read(STEP_S) is None
    assert camera.absent is None and inner.starts == 1


def test_a_camera_that_reopens_itself_is_left_to_it(
    camera: PatientCamera, inner: HandCamera, clock: HandClock
) -> None:
    camera.start()
    inner.absent = "unplugged"
    read_for(camera, clock, 100)
    assert camera.absent == "unplugged" and inner.starts == 1
    inner.absent = None
    read_for(camera, clock, SILENT_S / 2)
    assert camera.absent is None


def test_a_trouble_while_reading_is_an_absence(
    camera: PatientCamera, inner: HandCamera, clock: HandClock
) -> None:
    camera.start()
    inner.broken = Refused("its pictures are gone")
    assert camera.read(STEP_S) is None
    assert camera.absent == "its pictures are gone" and not inner.is_running
    inner.frames.append(grey())
    assert read_for(camera, clock, 2) == 1
    assert camera.absent is None


def test_the_end_of_a_recording_is_not_an_absence(camera: PatientCamera, inner: HandCamera) -> None:
    camera.start()
    inner.broken = Ended("over")
    with pytest.raises(Ended):
        camera.read(STEP_S)


def test_absence_is_logged_once_and_its_end_once(
    camera: PatientCamera,
    inner: HandCamera,
    clock: HandClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    inner.trouble = Unavailable("gone")
    camera.start()
    read_for(camera, clock, 60)
    inner.trouble = None
    inner.frames.append(grey())
    read_for(camera, clock, 20)
    said = [record.getMessage() for record in caplog.records]
    # it fell silent after its only frame
    assert said[:2] == ["no camera: gone", "the camera is there"] and len(said) <= 3
