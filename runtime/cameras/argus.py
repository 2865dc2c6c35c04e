"""CSI cameras of a Jetson, by GStreamer's nvarguscamerasrc: frames are loans of its buffers.

nvvidconv scales to what the model needs and writes memory that the processor reads (NVMM memory it
cannot map without NVIDIA's own library); the appsink holds the newest picture and drops older ones.
"""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from functools import partial

from runtime.cameras.csi_source import Count, Lost, ends_within
from runtime.cameras.csi_uri import Wish
from runtime.cameras.gstreamer import Caps, Pipeline, Plane, Sample
from runtime.frames import Frame, Layout, Losses
from wire.troubles import Refused, Unavailable

FIRST_S = 8.0  # nvargus-daemon takes its time with the first picture
END_S = 1.0
LOOK_S = 0.1  # an error on the bus does not wake who waits for a picture
MOST_LOANS = 2  # nvvidconv has four buffers: one that it writes, one that waits
RESTART = "sudo systemctl restart nvargus-daemon, and see `sudo dmesg | grep -i camera`"
SIDES = re.compile(r"\b(width|height)=\(int\)(\d+)")
FORMAT = re.compile(r"\bformat=\(string\)(\w+)")
FLIPS = {(False, False): 0, (True, True): 2, (True, False): 4, (False, True): 6}

log = logging.getLogger("vedette.cameras")


@dataclass(frozen=True)
class Elements:
    """What stands before the appsink, as gst-launch-1.0 writes it; {number} and {flip} are filled
    in. source is named `source`; memory: what its caps say after video/x-raw."""

    source: str
    converter: str
    memory: str


JETSON = Elements(
    "nvarguscamerasrc name=source sensor-id={number}", "nvvidconv flip-method={flip}",
    "(memory:NVMM)",
)  # fmt: skip


def open_argus(
    wish: Wish, size: tuple[int, int], spare: int, count: Count, losses: Losses,
    elements: Elements = JETSON,
) -> ArgusSource:  # fmt: skip
    """The camera of a wish, capturing: its first picture has come. Its memory cannot be shared, so
    `spare` changes nothing. Raises Unavailable, or Refused for a control that it has not."""
    source = ArgusSource(wish, size, count, losses, elements)
    try:
        source.begin()
    except BaseException:
        source.close()
        raise
    return source


class ArgusSource:
    """A pipeline from the camera to memory."""

    def __init__(
        self, wish: Wish, size: tuple[int, int], count: Count, losses: Losses, elements: Elements
    ) -> None:
        if wish.sensor is not None:
            raise Refused(f"{wish.uri}: sensor= is for a Raspberry Pi: use control.sensor-mode=N")
        self.layout = Layout("NV12", *size, size[0])
        self._wish = wish
        self._count = count
        self._losses = losses
        self._size = size
        self._loans = 0
        self._caps: Caps | None = None
        self._plane = Plane(None, None)
        try:
            self._pipeline = Pipeline(_description(wish, size, elements))
        except Unavailable as trouble:
            raise Unavailable(f"{wish.shown}: {trouble}{_missing(str(trouble))}") from None
        self._set_controls()

    def begin(self) -> None:
        """Let it run until a picture comes, which says how they lie."""
        self._count.pause()
        self._pipeline.play()
        deadline = time.monotonic() + FIRST_S
        try:
            sample = None
            while sample is None and time.monotonic() < deadline:
                sample = self._pull(deadline)
        except Lost as lost:
            raise Unavailable(str(lost)) from None
        if sample is None:
            raise Unavailable(f"{self._wish.shown} sends no picture: {RESTART}")
        try:
            self._look(sample)
        finally:
            sample.free()

    def has_room(self) -> bool:
        return self._loans < MOST_LOANS

    def read(self, timeout: float) -> Frame | None:
        deadline = time.monotonic() + timeout
        sample = self._pipeline.pull(0)
        was_late = sample is not None  # one waited, so others may have been overtaken
        while sample is None:
            sample = self._pull(deadline)
            if sample is None and time.monotonic() >= deadline:
                return None
        try:
            frame = self._lend(sample, was_late)
        except BaseException:
            sample.free()
            raise
        if frame is None:
            sample.free()
        return frame

    def fit(self, size: tuple[int, int]) -> None:
        """Pictures of the old size may still come."""
        self._size = size
        self._pipeline.set("fit", "caps", _caps("", *size))
        self.layout = _layout(self._wish, "NV12", *size, Plane(None, None))

    def close(self) -> None:
        if self._caps is not None:
            self._caps.free()
            self._caps = None
        if not ends_within(END_S, self._pipeline.stop):
            log.warning("camera: %s does not stop: %s", self._wish.shown, RESTART)

    def _set_controls(self) -> None:
        for name, text in self._wish.controls.items():
            if not self._pipeline.has("source", name):
                self.close()
                raise Refused(
                    f"{self._wish.uri}: nvarguscamerasrc has no property {name}: "
                    "see gst-inspect-1.0 nvarguscamerasrc"
                )
            self._pipeline.set("source", name, text)

    def _pull(self, deadline: float) -> Sample | None:
        left = deadline - time.monotonic()
        sample = self._pipeline.pull(max(0.0, min(LOOK_S, left)))
        if sample is None:
            why = self._pipeline.error()
            if why is not None:
                raise Lost(_sentence(self._wish, why))
            if self._pipeline.is_over():
                raise Lost(f"{self._wish.shown} has ended: {RESTART}")
        return sample

    def _lend(self, sample: Sample, was_late: bool) -> Frame | None:
        """None: the picture is of no use, which is counted."""
        pts_ns, now_ns = sample.pts_ns, time.monotonic_ns()
        captured_ns = now_ns if pts_ns is None else min(self._pipeline.zero_ns() + pts_ns, now_ns)
        missing = self._count.take(captured_ns, 1e9 / self._wish.fps)
        if missing is None:
            self._losses.refused += 1
            return None
        if was_late:
            self._losses.skipped += missing
        else:
            self._losses.driver += missing
        self._look(sample)
        memory = sample.map()
        if memory is None or memory.nbytes < self.layout.nbytes:
            self._losses.refused += 1
            return None
        self._loans += 1
        home = partial(self._home, sample)
        return Frame(self._count.seq, captured_ns, self.layout, memory, home)

    def _home(self, sample: Sample) -> None:
        sample.free()
        self._loans -= 1

    def _look(self, sample: Sample) -> None:
        """Take note of how its pixels lie, if that has changed."""
        caps, plane = sample.caps, sample.plane()
        if self._caps is not None and self._caps.number == caps and self._plane == plane:
            return
        if self._caps is not None:
            self._caps.free()
        self._caps, self._plane = Caps(caps), plane
        text = str(self._caps)
        sides = {name: int(number) for name, number in SIDES.findall(text)}
        format = FORMAT.search(text)
        if len(sides) != 2 or format is None:
            raise Lost(f"{self._wish.shown} sends no pictures but {text[:100]}")
        self.layout = _layout(self._wish, format[1], sides["width"], sides["height"], plane)


def _description(wish: Wish, size: tuple[int, int], elements: Elements) -> str:
    rate = f",framerate={round(wish.fps * 1000)}/1000"
    numbers = {"number": wish.number, "flip": FLIPS[wish.hflip, wish.vflip]}
    return " ! ".join((
        elements.source.format(**numbers),
        _caps(elements.memory, *wish.size) + rate,
        elements.converter.format(**numbers),
        f'capsfilter name=fit caps="{_caps("", *size)}"',
        "appsink name=sink max-buffers=1 drop=true sync=false enable-last-sample=false",
    ))  # fmt: skip


def _caps(memory: str, width: int, height: int) -> str:
    return f"video/x-raw{memory},format=NV12,width={width},height={height}"


def _layout(wish: Wish, format: str, width: int, height: int, plane: Plane) -> Layout:
    """Raises Lost for what a Layout cannot say."""
    stride = plane.stride or -(-width // 4) * 4
    if format != "NV12" or plane.chroma not in (None, stride * height):
        raise Lost(
            f"{wish.shown} has pictures of {format} {width}x{height} whose colours lie apart: "
            "choose another size"
        )
    whole = None if (width, height) == wish.size else wish.size
    return Layout("NV12", width, height, stride, whole)


def _missing(why: str) -> str:
    if "nvarguscamerasrc" in why or "nvvidconv" in why:
        return ": sudo apt-get install -y nvidia-l4t-gstreamer nvidia-l4t-camera"
    if "no element" in why:
        return ": sudo apt-get install -y gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
    return ""


def _sentence(wish: Wish, why: str) -> str:
    """What Argus' words mean."""
    if "No cameras available" in why or "Invalid camera device" in why:
        return (
            f"{wish.shown} is not there: with the power off, see to both ends of its ribbon cable, "
            "and to the sensor's entry in the device tree (sudo /opt/nvidia/jetson-io/jetson-io.py)"
        )
    return f"{wish.shown} failed ({' '.join(why.split())[:200]}): {RESTART}"
