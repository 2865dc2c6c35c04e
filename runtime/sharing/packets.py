"""What the owner of a camera and those who share it say to each other: one packet each.

MessagePack on a SOCK_SEQPACKET Unix socket in the run folder. The descriptor of a buffer travels
with the first picture in it (SCM_RIGHTS); after that a frame costs two small packets: a reader
says that it wants one, and which are home, and gets it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from runtime.frames import BYTES_PER_PIXEL, Aim, Layout
from wire.troubles import Refused

VERSION = 1
MOST_BYTES = 16 * 1024  # that an owner says at once
MOST_ASKED_BYTES = 256  # that a reader says, after its first word
LONGEST_REASON = 1000
MOST_BOXES = 16

Count = Annotated[int, Meta(ge=0, le=1 << 62)]
Side = Annotated[int, Meta(ge=1, le=1 << 16)]
Label = Annotated[str, Meta(max_length=200)]
FARTHEST = 1e9  # pixels
Place = Annotated[float, Meta(ge=-FARTHEST, le=FARTHEST)]  # keeps infinities and NaN out
Reason = Annotated[str, Meta(max_length=LONGEST_REASON)]


class Choice(Struct, frozen=True, array_like=True):
    """Boxes of the owner's results: of these labels (none: of any), of this score at least, and so
    many of a result at most."""

    labels: Annotated[tuple[Label, ...], Meta(max_length=64)]
    min_score: Annotated[float, Meta(ge=0, le=1)]
    most: Annotated[int, Meta(ge=1, le=MOST_BOXES)]


class Hello(Struct, frozen=True, tag="hello", array_like=True):
    """A reader's first word. choice: it wants frames in which the owner's model found such boxes,
    with these; None: it wants every frame."""

    version: int
    choice: Choice | None = None


class Want(Struct, frozen=True, tag="want", array_like=True):
    """Send a picture that I have not had: the newest, or else the next. now: say Nothing if there
    is none yet. aim: width, height and cover of the smallest that will do; None: the whole one.
    homes: buffers that I am done with."""

    aim: tuple[Side, Side, bool] | None
    now: bool = False
    homes: Annotated[tuple[Count, ...], Meta(max_length=4)] = ()


class Home(Struct, frozen=True, tag="home", array_like=True):
    """I am done with the pictures in these buffers, and do not want another one yet."""

    buffers: Annotated[tuple[Count, ...], Meta(max_length=4)]


class Counts(Struct, frozen=True, array_like=True):
    """Of the owner's camera since its process began. captured: frames that its thread read; for
    who wants boxes, only these: how many were chosen."""

    captured: Count = 0
    skipped: Count = 0
    driver: Count = 0
    decode: Count = 0
    refused: Count = 0


class Lie(Struct, frozen=True, array_like=True):
    """How pixels lie in a buffer: `Layout`, not yet believed."""

    format: Literal["RGB3", "BGR3", "YUYV", "GREY", "NV12"]
    width: Side
    height: Side
    stride: Annotated[int, Meta(ge=1, le=1 << 20)]
    shrunk_from: tuple[Side, Side] | None


class Welcome(Struct, frozen=True, tag="welcome", array_like=True):
    """The owner's first word, once its camera runs. lie: None while no picture is known."""

    lie: Lie | None
    counts: Counts
    absent: Reason | None


class Spot(Struct, frozen=True, array_like=True):
    """A box that the owner's model found, in pixels of the source frame."""

    index: Annotated[int, Meta(ge=-(1 << 40), le=1 << 40)]
    label: Label
    score: Place
    x: Place
    y: Place
    width: Place
    height: Place


class Picture(Struct, frozen=True, tag="picture", array_like=True):
    """A frame on loan. size: bytes of its buffer. gone: buffers that will not come again.
    spots: the boxes that were chosen, for a reader that wants some.

    The buffer's descriptor is with the first picture in it.
    """

    buffer: Count
    size: Count
    seq: Count
    captured_ns: Count
    lie: Lie
    counts: Counts
    gone: tuple[Count, ...] = ()
    spots: Annotated[tuple[Spot, ...], Meta(max_length=MOST_BOXES)] = ()


class Nothing(Struct, frozen=True, tag="nothing", array_like=True):
    """There is no picture yet that you have not had."""


class Missed(Struct, frozen=True, tag="missed", array_like=True):
    """To a reader that waits for a picture: none came, but these were lost."""

    counts: Counts


class Absent(Struct, frozen=True, tag="absent", array_like=True):
    """Why no picture can come now; None: they come again."""

    why: Reason | None


class Over(Struct, frozen=True, tag="over", array_like=True):
    """The owner's last word. ended: its recording has no more frames."""

    why: Reason
    ended: bool = False


FromReader = Hello | Want | Home
FromOwner = Welcome | Picture | Nothing | Missed | Absent | Over

_encode = msgspec.msgpack.Encoder().encode
_from_reader: Any = msgspec.msgpack.Decoder(FromReader)
_from_owner: Any = msgspec.msgpack.Decoder(FromOwner)


def socket_path(run_folder: Path, pipeline: str) -> Path:
    """Where the owner of a pipeline's camera listens."""
    return run_folder / f"camera-{pipeline}.sock"


def encoded(packet: FromReader | FromOwner) -> bytes:
    return _encode(packet)


def from_reader(content: bytes | memoryview) -> FromReader:
    """Raises Refused for what is none."""
    packet: FromReader = _decoded(_from_reader, content)
    return packet


def from_owner(content: bytes | memoryview) -> FromOwner:
    """Raises Refused for what is none."""
    packet: FromOwner = _decoded(_from_owner, content)
    return packet


def _decoded(decoder: Any, content: bytes | memoryview) -> Any:
    try:
        return decoder.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise Refused(f"a packet came that is none: {error}") from None


def lie_of(layout: Layout) -> Lie | None:
    """None for a layout that no picture can have: none came yet."""
    if not layout.width or not layout.height:
        return None
    told: Any = layout.format
    return Lie(told, layout.width, layout.height, layout.stride, layout.shrunk_from)


def layout_of(lie: Lie, nbytes: int) -> Layout:
    """What it says, if such a picture fits into so many bytes. Raises Refused."""
    layout = Layout(lie.format, lie.width, lie.height, lie.stride, lie.shrunk_from)
    odd = lie.format in ("YUYV", "NV12") and lie.width % 2
    odd = odd or (lie.format == "NV12" and lie.height % 2)
    if odd or lie.stride < lie.width * BYTES_PER_PIXEL[lie.format] or layout.nbytes > nbytes:
        raise Refused(f"a picture came that cannot be: {lie} in {nbytes} bytes")
    return layout


def sides(aim: Aim | None) -> tuple[int, int, bool] | None:
    return None if aim is None else (aim.width, aim.height, aim.cover)


def aim_of(told: tuple[int, int, bool] | None) -> Aim | None:
    return None if told is None else Aim(*told)
