"""GStreamer by its C interface, as far as a camera needs it: LGPL, loaded when one is opened.

By ctypes, since its Python binding exists for the system's own Python alone and hands out copies of
pixels. Structures are those of gst/gstbuffer.h and gst/video/gstvideometa.h of GStreamer 1.x, whose
layout is fixed for all of 1.x.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any

from wire.troubles import Unavailable

NULL, PLAYING = 1, 4  # GstState
FAILED = 0  # GstStateChangeReturn
READ = 1  # GstMapFlags
ERROR = 2  # GstMessageType
NO_TIME = (1 << 64) - 1


class _Error(Structure):
    _fields_ = (("domain", ctypes.c_uint32), ("code", c_int), ("message", c_char_p))


class _Mapping(Structure):
    _fields_ = (
        ("memory", c_void_p), ("flags", c_int), ("data", c_void_p), ("size", c_size_t),
        ("maxsize", c_size_t), ("user_data", c_void_p * 4), ("reserved", c_void_p * 4),
    )  # fmt: skip


class _MiniObject(Structure):
    _fields_ = (
        ("type", c_size_t), ("refcount", c_int), ("lockstate", c_int), ("flags", c_uint),
        ("copy", c_void_p), ("dispose", c_void_p), ("free", c_void_p), ("priv_uint", c_uint),
        ("priv_pointer", c_void_p),
    )  # fmt: skip


class _Buffer(Structure):
    _fields_ = (("mini_object", _MiniObject), ("pool", c_void_p), ("pts", c_uint64))


class _VideoMeta(Structure):
    _fields_ = (
        ("meta_flags", c_int), ("meta_info", c_void_p), ("buffer", c_void_p), ("flags", c_int),
        ("format", c_int), ("id", c_int), ("width", c_uint), ("height", c_uint),
        ("n_planes", c_uint), ("offset", c_size_t * 4), ("stride", c_int * 4),
    )  # fmt: skip


# name: (what it gives, what it takes); p pointer, s text, i int, u unsigned 64 bits
_CORE = {
    "gst_init_check": "ippp", "gst_parse_launch": "psp", "gst_bin_get_by_name": "pps",
    "gst_element_set_state": "ipi", "gst_element_get_bus": "pp", "gst_element_get_base_time": "up",
    "gst_system_clock_obtain": "p", "gst_pipeline_use_clock": "vpp", "gst_object_unref": "vp",
    "gst_bus_timed_pop_filtered": "ppui", "gst_message_parse_error": "vppp",
    "gst_mini_object_unref": "vp", "gst_mini_object_ref": "pp", "gst_sample_get_buffer": "pp",
    "gst_sample_get_caps": "pp", "gst_caps_to_string": "pp", "gst_buffer_map": "ippi",
    "gst_buffer_unmap": "vpp", "gst_util_set_object_arg": "vpss",
    "gst_element_factory_find": "ps",
}  # fmt: skip
_APP = {"gst_app_sink_try_pull_sample": "ppu", "gst_app_sink_is_eos": "ip"}
_VIDEO = {"gst_buffer_get_video_meta": "pp"}
_GLIB = {"g_free": "vp", "g_error_free": "vp"}
_GOBJECT = {"g_object_class_find_property": "pps", "g_object_unref": "vp"}
_LIBRARIES = {
    "libgstreamer-1.0.so.0": _CORE, "libgstapp-1.0.so.0": _APP, "libgstvideo-1.0.so.0": _VIDEO,
    "libglib-2.0.so.0": _GLIB, "libgobject-2.0.so.0": _GOBJECT,
}  # fmt: skip
_TYPES = {"p": c_void_p, "s": c_char_p, "i": c_int, "u": c_uint64, "v": None}


@functools.cache
def _calls() -> dict[str, Callable[..., Any]]:
    """GStreamer's functions by name, after it was initialised. Raises Unavailable."""
    found: dict[str, Callable[..., Any]] = {}
    try:
        for library, signatures in _LIBRARIES.items():
            loaded = ctypes.CDLL(library)
            for name, signature in signatures.items():
                call = getattr(loaded, name)
                call.restype = _TYPES[signature[0]]
                call.argtypes = [_TYPES[letter] for letter in signature[1:]]
                found[name] = call
    except (OSError, AttributeError) as error:
        raise Unavailable(
            f"GStreamer is missing ({error}): sudo apt-get install -y libgstreamer1.0-0 "
            "gstreamer1.0-plugins-base gstreamer1.0-plugins-good"
        ) from None
    problem = POINTER(_Error)()
    if not found["gst_init_check"](None, None, byref(problem)):
        raise Unavailable(f"GStreamer does not start: {_text(problem)}")
    return found


def _text(problem: Any) -> str:
    return str(problem.contents.message.decode(errors="replace")) if problem else "no reason given"


@dataclass(frozen=True)
class Plane:
    """stride: bytes per row; chroma: bytes from the first pixel to the colours, None: not told."""

    stride: int | None
    chroma: int | None


class Sample:
    """A picture of a pipeline, and its memory until it is freed."""

    def __init__(self, pointer: int) -> None:
        self._calls = _calls()
        self._pointer: int | None = pointer
        self._buffer = self._calls["gst_sample_get_buffer"](pointer)
        self._map = _Mapping()
        self._is_mapped = False

    @property
    def pts_ns(self) -> int | None:
        """Since the pipeline's base time."""
        found = _Buffer.from_address(self._buffer).pts
        return None if found == NO_TIME else int(found)

    @property
    def caps(self) -> int:
        """What says how its pixels lie: as a number that stays the same while that does."""
        return int(self._calls["gst_sample_get_caps"](self._pointer))

    def plane(self) -> Plane:
        """How its first two planes lie."""
        meta = self._calls["gst_buffer_get_video_meta"](self._buffer)
        if not meta:
            return Plane(None, None)
        found = _VideoMeta.from_address(meta)
        return Plane(found.stride[0], found.offset[1] if found.n_planes > 1 else None)

    def map(self) -> memoryview | None:
        """Its memory, where it is; None if it cannot be read."""
        if not self._calls["gst_buffer_map"](self._buffer, byref(self._map), READ):
            return None
        self._is_mapped = True
        size = int(self._map.size)
        return memoryview((ctypes.c_ubyte * size).from_address(self._map.data)).cast("B")

    def free(self) -> None:
        """Give it back to the pipeline. May be called twice."""
        pointer, self._pointer = self._pointer, None
        if pointer is None:
            return
        if self._is_mapped:
            self._calls["gst_buffer_unmap"](self._buffer, byref(self._map))
        self._calls["gst_mini_object_unref"](pointer)


class Caps:
    """A reference to caps, so that its number is nobody else's meanwhile."""

    def __init__(self, pointer: int) -> None:
        self.number = int(_calls()["gst_mini_object_ref"](pointer))

    def __str__(self) -> str:
        calls = _calls()
        text = calls["gst_caps_to_string"](self.number)
        try:
            return ctypes.string_at(text).decode()
        finally:
            calls["g_free"](text)

    def free(self) -> None:
        _calls()["gst_mini_object_unref"](self.number)


class Pipeline:
    """What gst-launch-1.0 would run of `description`, whose last element is an appsink of the name
    `sink`. Raises Unavailable if an element is missing."""

    def __init__(self, description: str) -> None:
        self._calls = calls = _calls()
        problem = POINTER(_Error)()
        pipeline = calls["gst_parse_launch"](description.encode(), byref(problem))
        if problem:
            why = _text(problem)
            calls["g_error_free"](problem)
            if pipeline:
                calls["gst_object_unref"](pipeline)
            raise Unavailable(f"GStreamer: {why}")
        self._pipeline = pipeline
        clock = calls["gst_system_clock_obtain"]()  # CLOCK_MONOTONIC
        calls["gst_pipeline_use_clock"](pipeline, clock)
        calls["gst_object_unref"](clock)
        self._bus = calls["gst_element_get_bus"](pipeline)
        self._sink = calls["gst_bin_get_by_name"](pipeline, b"sink")

    def play(self) -> bool:
        """Let it run. False: an error says why not."""
        return bool(self._calls["gst_element_set_state"](self._pipeline, PLAYING) != FAILED)

    def zero_ns(self) -> int:
        """The time on CLOCK_MONOTONIC from which its stamps count."""
        return int(self._calls["gst_element_get_base_time"](self._pipeline))

    def pull(self, timeout: float) -> Sample | None:
        """The picture that waits at its end, or None."""
        sample = self._calls["gst_app_sink_try_pull_sample"](self._sink, int(timeout * 1e9))
        return Sample(sample) if sample else None

    def is_over(self) -> bool:
        """Whether its source has ended."""
        return bool(self._calls["gst_app_sink_is_eos"](self._sink))

    def error(self) -> str | None:
        """What went wrong since the last time that this was asked."""
        message = self._calls["gst_bus_timed_pop_filtered"](self._bus, 0, ERROR)
        if not message:
            return None
        problem, details = POINTER(_Error)(), c_void_p()
        self._calls["gst_message_parse_error"](message, byref(problem), byref(details))
        text = _text(problem)
        if details.value:
            text += " " + ctypes.string_at(details.value).decode(errors="replace")
            self._calls["g_free"](details)
        self._calls["g_error_free"](problem)
        self._calls["gst_mini_object_unref"](message)
        return text

    def has(self, name: str, key: str) -> bool:
        """Whether the element of this name has such a property."""
        with self._element(name) as element:
            kind = c_void_p.from_address(element)  # a GObject begins with its class
            return bool(self._calls["g_object_class_find_property"](kind, key.encode()))

    def set(self, name: str, key: str, text: str) -> None:
        """Set a property of the element of this name, as gst-launch-1.0 reads it."""
        with self._element(name) as element:
            self._calls["gst_util_set_object_arg"](element, key.encode(), text.encode())

    def stop(self) -> None:
        """End it. May hang where a driver does."""
        self._calls["gst_element_set_state"](self._pipeline, NULL)
        for pointer in (self._sink, self._bus, self._pipeline):
            self._calls["gst_object_unref"](pointer)

    @contextmanager
    def _element(self, name: str) -> Iterator[int]:
        element = self._calls["gst_bin_get_by_name"](self._pipeline, name.encode())
        try:
            yield element
        finally:
            self._calls["gst_object_unref"](element)
