"""What picamera2 is asked for, what it made of that, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runtime.cameras.csi_uri import Wish
from runtime.cameras.options import either
from runtime.frames import Layout
from wire.troubles import Refused, Unavailable

BOARD = Path("/proc/device-tree/compatible")
# libcamera names RGB as a word is read, V4L2 as bytes lie
FORMATS = {"NV12": "NV12", "YUYV": "YUYV", "RGB888": "BGR3", "BGR888": "RGB3"}
IN_USE = "is in use by another process: end that one first"
WHOLE = re.compile(r"[-+]?\d+")
PART = re.compile(r"[-+]?(\d+\.\d*|\.\d+)")
Value = bool | int | float


def is_raspberry_pi(board: Path = BOARD) -> bool:
    """Whether the device tree says so."""
    try:
        return b"raspberrypi," in board.read_bytes()
    except OSError:
        return False


def configuration(
    camera: Any, libcamera: Any, wish: Wish, size: tuple[int, int], buffers: int
) -> dict[str, Any]:
    """What to pass to configure(). BT.601 in limited range is what `runtime.pixels` takes NV12 for.
    queue=False: the newest waits with us, not a second one in picamera2."""
    period_us = round(1e6 / wish.fps)
    controls = {"FrameDurationLimits": (period_us, period_us), **_controls(camera, wish, libcamera)}
    sensor = {} if wish.sensor is None else {"sensor": {"output_size": wish.sensor}}
    found: dict[str, Any] = camera.create_video_configuration(
        main={"size": wish.size, "format": "NV12"},
        lores=None if size == wish.size else {"size": size, "format": "NV12"},
        raw=None,
        transform=libcamera.Transform(hflip=int(wish.hflip), vflip=int(wish.vflip)),
        colour_space=libcamera.ColorSpace.Smpte170m(),
        buffer_count=buffers,
        controls=controls,
        display=None,
        encode=None,
        queue=False,
        **sensor,
    )
    return found


def check(camera: Any, wish: Wish) -> None:
    """Raises Refused if the configured camera cannot be as fast as wished."""
    shortest_us = camera.camera_controls.get("FrameDurationLimits", (0,))[0]
    if shortest_us and 1e6 / shortest_us < wish.fps * 0.99:
        raise Refused(
            f"{wish.uri}: it gives {1e6 / shortest_us:.4g} frames a second at most at this size"
        )


def layout(camera: Any, wish: Wish, stream: str) -> Layout:
    """How the pictures of a configured camera's stream lie. Raises Unavailable."""
    config = camera.camera_configuration()
    width, height = config[stream]["size"]
    format = FORMATS.get(config[stream]["format"])
    if format is None or config["main"]["size"] != wish.size:
        made = "x".join(map(str, config["main"]["size"]))
        raise Refused(
            f"{wish.uri}: libcamera makes {config[stream]['format']} {made} of that: "
            "choose another size"
        )
    whole = None if (width, height) == wish.size else wish.size
    found = Layout(format, width, height, config[stream]["stride"], whole)
    if config[stream].get("framesize", found.nbytes) < found.nbytes:
        raise Unavailable(f"{wish.shown}: libcamera's buffers are smaller than its pictures")
    return found


def why_not(wish: Wish, error: BaseException) -> str:
    """A sentence for what picamera2 raised: it hides the reason behind its own."""
    said = " / ".join(str(one) for one in _chain(error))
    if "busy" in said.lower():
        return f"{wish.shown} {IN_USE}"
    if "annot allocate memory" in said or "allocate" in said or "rrno 12" in said:
        return (
            f"{wish.shown} has no memory for its frames: choose a smaller size or fewer buffers, "
            "or a larger cma= in /boot/firmware/config.txt"
        )
    return f"{wish.shown} does not start: {' '.join(said.split())[:200]}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def _controls(camera: Any, wish: Wish, libcamera: Any) -> dict[str, Value | tuple[Value, ...]]:
    known = camera.camera_controls
    found: dict[str, Value | tuple[Value, ...]] = {}
    for name, text in wish.controls.items():
        if name not in known:
            raise Refused(
                f"{wish.uri}: this camera has no control {name}: use {either(sorted(known))}"
            )
        values = tuple(_value(wish, name, word, libcamera) for word in text.split(","))
        found[name] = values[0] if len(values) == 1 else values
        least, most = known[name][:2]
        if isinstance(found[name], int | float) and _is_number(least) and _is_number(most):
            _limit(wish, name, values[0], least, most)
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _limit(wish: Wish, name: str, value: Value, least: float, most: float) -> None:
    if not least <= value <= most:
        raise Refused(f"{wish.uri}: {name} must be from {least:g} to {most:g}")


def _value(wish: Wish, name: str, word: str, libcamera: Any) -> Value:
    if word in ("true", "false"):
        return word == "true"
    if WHOLE.fullmatch(word):
        return int(word)
    if PART.fullmatch(word):
        return float(word)
    names = getattr(getattr(libcamera.controls, f"{name}Enum", None), "__members__", {})
    if word in names:
        return int(names[word])
    allowed = either(sorted(names)) if names else "a number, true or false"
    raise Refused(f"{wish.uri}: {name}={word!r} is not known: use {allowed}")
