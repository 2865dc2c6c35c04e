"""What a V4L2 device node says of itself: is it a camera, what does it offer, set this, set that.

Each function makes requests of one open file descriptor; nothing here streams.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from runtime.cameras import v4l2_ioctl as v4l2
from runtime.cameras.v4l2_choice import GOOD_SIZE, Choice, Offer, Span
from runtime.frames import BYTES_PER_PIXEL, Layout
from wire.troubles import Refused, Unavailable

# image processors: memory in, memory out. Their nodes look like cameras and never deliver.
NOT_CAMERAS = ("bcm2835-isp", "bcm2835-codec", "pispbe")
LINKS = (Path("/dev/v4l/by-id"), Path("/dev/v4l/by-path"))
BIGGEST_LIST = 512  # a driver that never says "no more" must not keep us here


@dataclass(frozen=True)
class Card:
    """Who a device node is. kind: the buffer type it streams with."""

    node: str
    card: str
    driver: str
    bus: str
    kind: int


@dataclass(frozen=True)
class Setting:
    """What the device will deliver. choice.fps: its own word for its rate; None: it has none.

    sizeimage: the most bytes of a frame.
    """

    choice: Choice
    stride: int
    sizeimage: int

    @property
    def layout(self) -> Layout:
        """For pixels in place; compressed pictures have no layout until they are decoded."""
        return Layout(self.choice.format, self.choice.width, self.choice.height, self.stride)

    @property
    def least_bytes(self) -> int:
        """A frame with fewer is incomplete. The padding of the last row may be missing."""
        if self.choice.format not in BYTES_PER_PIXEL:
            return 4
        row = self.choice.width * BYTES_PER_PIXEL[self.choice.format]
        return self.layout.nbytes - self.stride + row


def nodes() -> list[str]:
    """Every /dev/videoN, in the order of N."""
    found = [path for path in Path("/dev").glob("video*") if path.name[5:].isdigit()]
    return [str(path) for path in sorted(found, key=lambda path: int(path.name[5:]))]


def links(node: str) -> list[str]:
    """Names of a node that stay the same when it is plugged in again."""
    found = [link for folder in LINKS if folder.is_dir() for link in sorted(folder.iterdir())]
    return [str(link) for link in found if os.path.realpath(link) == node]


def open_node(path: str) -> int:
    """A file descriptor that never blocks. Raises Unavailable with what to do about it."""
    try:
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
            raise Unavailable(
                f"there is no camera at {path}: plug it in, or see `vedette cameras`"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM):
            raise Unavailable(
                f"{path} may not be opened: add this user to the group video "
                "(sudo usermod -aG video $USER) and log in again"
            ) from None
        if error.errno == errno.EBUSY:
            raise Unavailable(busy(path)) from None
        raise Refused(f"{path} cannot be opened as a camera: {error.strerror}") from None


def busy(path: str) -> str:
    return f"{path} is in use by another program: end that one first (fuser {path} names it)"


def identify(fd: int, node: str) -> Card:
    """Who is at the other end. Raises Refused for what is no camera."""
    answer = v4l2.Capability()
    try:
        v4l2.ask(fd, v4l2.QUERYCAP, answer)
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise Unavailable(f"{node} was unplugged just now") from None
        raise Refused(f"{node} is not a V4L2 device: see `vedette cameras`") from None
    able = answer.capabilities
    if able & v4l2.CAP_DEVICE_CAPS:  # of this node, not of the whole device
        able = answer.device_caps
    driver = answer.driver.decode("utf-8", "replace")
    captures = able & (v4l2.CAP_VIDEO_CAPTURE | v4l2.CAP_VIDEO_CAPTURE_MPLANE)
    converts = able & (v4l2.CAP_VIDEO_M2M | v4l2.CAP_VIDEO_M2M_MPLANE)
    if not captures or converts or able & v4l2.CAP_TOUCH or driver in NOT_CAMERAS:
        raise Refused(f"{node} ({driver}) is no camera: see `vedette cameras`")
    if not able & v4l2.CAP_STREAMING:
        raise Refused(f"{node} ({driver}) cannot stream into mapped memory: it has read() only")
    return Card(
        node=node,
        card=answer.card.decode("utf-8", "replace"),
        driver=driver,
        bus=answer.bus_info.decode("utf-8", "replace"),
        kind=v4l2.VIDEO_CAPTURE if able & v4l2.CAP_VIDEO_CAPTURE else v4l2.VIDEO_CAPTURE_MPLANE,
    )


def read_offers(fd: int, kind: int, near: tuple[int, int] | None = None) -> list[Offer]:
    """Every format and size of a device. Rates of a range of sizes are those of the size in it
    that is nearest to `near`."""
    found: list[Offer] = []
    for index in range(BIGGEST_LIST):
        entry = v4l2.FormatDescription(index=index, type=kind)
        if not _answers(fd, v4l2.ENUM_FMT, entry):
            break
        found += _sizes(fd, entry.pixelformat, near or GOOD_SIZE)
    return found


def _answers(
    fd: int, request: int, record: v4l2.FormatDescription | v4l2.FrameSize | v4l2.FrameInterval
) -> bool:
    """False at the end of a list, and for a driver that has no such list."""
    try:
        v4l2.ask(fd, request, record)
        return True
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):
            return False
        raise


def _sizes(fd: int, pixelformat: int, near: tuple[int, int]) -> list[Offer]:
    code = v4l2.letters(pixelformat)
    found = []
    for index in range(BIGGEST_LIST):
        entry = v4l2.FrameSize(index=index, pixel_format=pixelformat)
        if not _answers(fd, v4l2.ENUM_FRAMESIZES, entry):
            break
        values = list(entry.values)
        if entry.type == v4l2.DISCRETE:
            width, height = Span(values[0], values[0]), Span(values[1], values[1])
        else:
            width, height = Span(*values[:3]), Span(*values[3:])
        offer = Offer(code, width, height)
        rates = _rates(fd, pixelformat, offer.nearest(near))
        found.append(Offer(code, width, height, rates))
        if entry.type != v4l2.DISCRETE:
            break
    return found or [Offer(code, Span(1, 16384), Span(1, 16384))]


def _rates(fd: int, pixelformat: int, size: tuple[int, int]) -> tuple[Span, ...]:
    found = []
    for index in range(BIGGEST_LIST):
        entry = v4l2.FrameInterval(
            index=index, pixel_format=pixelformat, width=size[0], height=size[1]
        )
        if not _answers(fd, v4l2.ENUM_FRAMEINTERVALS, entry):
            break
        shortest, longest = _fps(entry.values[0]), _fps(entry.values[1])
        if entry.type == v4l2.DISCRETE:
            longest = shortest
        if shortest is not None and longest is not None:
            found.append(Span(longest, shortest))
        if entry.type != v4l2.DISCRETE:
            break
    return tuple(found)


def _fps(interval: v4l2.Fraction) -> float | None:
    if not interval.numerator or not interval.denominator:
        return None
    return float(interval.denominator / interval.numerator)


def configure(fd: int, card: Card, choice: Choice) -> Setting:
    """Set format, size and rate, and read back what the device made of them. Raises Refused if
    it is something else, Unavailable if the device is in use."""
    wanted = v4l2.Format(type=card.kind)
    multi = card.kind == v4l2.VIDEO_CAPTURE_MPLANE
    picture = wanted.fmt.pix_mp if multi else wanted.fmt.pix
    picture.width, picture.height = choice.width, choice.height
    picture.pixelformat = v4l2.fourcc(choice.format)
    picture.field = v4l2.FIELD_NONE
    try:
        v4l2.ask(fd, v4l2.S_FMT, wanted)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise Unavailable(busy(card.node)) from None
        raise
    if multi and picture.num_planes != 1:
        raise Refused(f"{card.node}: {choice} comes in {picture.num_planes} buffers per frame")
    if picture.field in v4l2.FIELDS_APART:
        raise Refused(f"{card.node}: {choice} comes interlaced, as separate half pictures")
    rows = picture.plane_fmt[0] if multi else picture
    got = v4l2.letters(picture.pixelformat)
    real = Choice(got, picture.width, picture.height, _set_rate(fd, card, choice.fps))
    if (real.format, real.width, real.height) != (choice.format, choice.width, choice.height):
        raise Refused(f"{card.node} has no {choice}: the nearest that it offers is {real}")
    # two pixels share their colours, in NV12 two rows as well
    if got in ("YUYV", "NV12") and (real.width % 2 or (got == "NV12" and real.height % 2)):
        raise Refused(f"{card.node}: {real} has odd sides: choose even ones")
    stride = rows.bytesperline or real.width * BYTES_PER_PIXEL.get(got, 0)
    return Setting(real, stride, rows.sizeimage)


def _set_rate(fd: int, card: Card, fps: float | None) -> float | None:
    """Ask for a rate. Returns the device's word for what it will do; None if it has none."""
    record = v4l2.CaptureParameters(type=card.kind)
    try:
        v4l2.ask(fd, v4l2.G_PARM, record)
        if fps is not None and record.capability & v4l2.CAP_TIMEPERFRAME:
            record.timeperframe.numerator = 1000
            record.timeperframe.denominator = round(fps * 1000)
            v4l2.ask(fd, v4l2.S_PARM, record)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOTTY):
            return None
        raise
    return _fps(record.timeperframe)
