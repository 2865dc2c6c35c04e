"""`csi://0?size=1280x720&fps=30&rotate=180&control.NAME=VALUE`: a camera on the ribbon cable.

The number counts cameras as the board's own software does. Controls have its names, too: those of
libcamera on a Raspberry Pi (`control.AfMode=Continuous`), properties of nvarguscamerasrc on a
Jetson (`control.wbmode=1`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.cameras.options import Address, parse
from runtime.frames import Aim

EXAMPLE = "csi://0?size=1280x720&fps=30"
CONTROL = "control."
KEYS = ("size", "fps", "rotate", "hflip", "vflip", "sensor", "buffers", "control.NAME")
YES_NO = ("yes", "no")
MOST_CAMERAS = 16
FEWEST_BUFFERS, BUFFERS, MOST_BUFFERS = 4, 6, 32
SIZE = (1280, 720)
FPS = 30.0
SHRINK_MOST = 8  # farther than that no image processor's documentation promises
STEP = 4  # GStreamer pads rows to a multiple of this


@dataclass(frozen=True)
class Wish:
    """A parsed URI. size: of the picture whose pixels are counted, both sides even; hflip, vflip:
    rotate is in them; sensor: the sensor's mode, None: what fits best; controls: name to text."""

    uri: str
    number: int
    size: tuple[int, int]
    fps: float
    hflip: bool
    vflip: bool
    sensor: tuple[int, int] | None
    buffers: int
    controls: Mapping[str, str]

    @property
    def shown(self) -> str:
        """How messages call it."""
        return f"csi://{self.number}"


def read(uri: str) -> Wish:
    """Raises Refused for a URI that cannot be meant, saying what to write."""
    words = uri.partition("?")[2].split("&")
    names = [word.partition("=")[0] for word in words if word.startswith(CONTROL)]
    address = parse(uri, (*KEYS, *dict.fromkeys(names)))
    place = address.place.rstrip("/")
    if not (place.isascii() and place.isdigit()) or int(place) >= MOST_CAMERAS:
        raise address.refused(f"write the camera's number, for example {EXAMPLE}")
    if CONTROL in names or "control.NAME" in names:
        raise address.refused("name the control: for example control.ExposureTime=10000")
    turned = _turned(address)
    return Wish(
        uri=uri,
        number=int(place),
        size=_even(address),
        fps=address.number("fps", 0.1, 1000) or FPS,
        hflip=(address.choice("hflip", YES_NO, "no") == "yes") != turned,
        vflip=(address.choice("vflip", YES_NO, "no") == "yes") != turned,
        sensor=address.size("sensor"),
        buffers=_buffers(address),
        controls={name.removeprefix(CONTROL): address.given[name] for name in names},
    )


def _turned(address: Address) -> bool:
    if address.given.get("rotate") in ("90", "270"):
        raise address.refused("it can be turned by 180 only: turn the camera by the other 90")
    return address.choice("rotate", ("0", "180"), "0") == "180"


def _even(address: Address) -> tuple[int, int]:
    width, height = address.size("size") or SIZE
    if width % 2 or height % 2 or width < 16 or height < 16:
        raise address.refused(f"size={width}x{height}: both must be even, and 16 or more")
    return width, height


def _buffers(address: Address) -> int:
    count = address.number("buffers", FEWEST_BUFFERS, MOST_BUFFERS) or float(BUFFERS)
    if not count.is_integer():
        raise address.refused(f"buffers={count:g} is no whole number")
    return int(count)


def fitted(aim: Aim | None, size: tuple[int, int]) -> tuple[int, int]:
    """The size to which the image processor shall scale a picture of `size`: the smallest that
    still gives the model every pixel. Widths are multiples of STEP, heights are even."""
    if aim is None:
        return size
    width, height = aim.least(*size)
    width = _up(max(width, size[0] / SHRINK_MOST), STEP)
    height = _up(max(height, size[1] / SHRINK_MOST), 2)
    return (width, height) if width < size[0] and height < size[1] else size


def _up(length: float, step: int) -> int:
    return int(-(-length // step)) * step
