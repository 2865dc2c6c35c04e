"""The kernel's V4L2 requests: numbers, records, and one function that makes a request.

Names and layouts follow linux/videodev2.h. The C types are the machine's own (`long`, pointers),
so that the same text is right on 64-bit and on 32-bit systems: the size of a record is part of
the number of its request, and the kernel knows both.
"""

from __future__ import annotations

import ctypes
import fcntl
from ctypes import c_int32, c_long, c_uint8, c_uint32, c_ulong, c_void_p

VIDEO_CAPTURE = 1  # v4l2_buf_type
VIDEO_CAPTURE_MPLANE = 9
MMAP = 1  # v4l2_memory
FIELD_NONE = 1
# the two fields one after the other, or in buffers of their own: not a picture to look at
FIELDS_APART = (5, 6, 7)
VIDEO_MAX_PLANES = 8

CAP_VIDEO_CAPTURE = 0x00000001
CAP_VIDEO_CAPTURE_MPLANE = 0x00001000
CAP_VIDEO_M2M_MPLANE = 0x00004000
CAP_VIDEO_M2M = 0x00008000
CAP_META_CAPTURE = 0x00800000
CAP_STREAMING = 0x04000000
CAP_TOUCH = 0x10000000
CAP_DEVICE_CAPS = 0x80000000
CAP_TIMEPERFRAME = 0x1000  # v4l2_captureparm.capability

BUF_FLAG_ERROR = 0x0040
BUF_FLAG_TIMESTAMP_MASK = 0xE000
BUF_FLAG_TIMESTAMP_MONOTONIC = 0x2000

DISCRETE, CONTINUOUS, STEPWISE = 1, 2, 3  # v4l2_frmsizetypes, v4l2_frmivaltypes


class Capability(ctypes.Structure):
    _fields_ = (
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class FormatDescription(ctypes.Structure):
    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("flags", c_uint32),
        ("description", ctypes.c_char * 32),
        ("pixelformat", c_uint32),
        ("mbus_code", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class FrameSize(ctypes.Structure):
    """v4l2_frmsizeenum. values: width, height; or least, most and step of both."""

    _fields_ = (
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("type", c_uint32),
        ("values", c_uint32 * 6),
        ("reserved", c_uint32 * 2),
    )


class Fraction(ctypes.Structure):
    _fields_ = (("numerator", c_uint32), ("denominator", c_uint32))


class FrameInterval(ctypes.Structure):
    """v4l2_frmivalenum. values: one interval in seconds; or the least, the most and the step."""

    _fields_ = (
        ("index", c_uint32),
        ("pixel_format", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("type", c_uint32),
        ("values", Fraction * 3),
        ("reserved", c_uint32 * 2),
    )


class SinglePlane(ctypes.Structure):
    """v4l2_pix_format, up to what is used here."""

    _fields_ = (
        ("width", c_uint32),
        ("height", c_uint32),
        ("pixelformat", c_uint32),
        ("field", c_uint32),
        ("bytesperline", c_uint32),
        ("sizeimage", c_uint32),
    )


class PlaneFormat(ctypes.Structure):
    _fields_ = (
        ("sizeimage", c_uint32),
        ("bytesperline", c_uint32),
        ("reserved", ctypes.c_uint16 * 6),
    )


class MultiPlane(ctypes.Structure):
    """v4l2_pix_format_mplane, up to what is used here."""

    _fields_ = (
        ("width", c_uint32),
        ("height", c_uint32),
        ("pixelformat", c_uint32),
        ("field", c_uint32),
        ("colorspace", c_uint32),
        ("plane_fmt", PlaneFormat * VIDEO_MAX_PLANES),
        ("num_planes", c_uint8),
    )


class _AnyFormat(ctypes.Union):
    _fields_ = (
        ("pix", SinglePlane),
        ("pix_mp", MultiPlane),
        ("aligned", c_void_p),  # v4l2_window holds pointers: the union lies where they may
        ("raw", c_uint8 * 200),
    )


class Format(ctypes.Structure):
    _fields_ = (("type", c_uint32), ("fmt", _AnyFormat))


class CaptureParameters(ctypes.Structure):
    """v4l2_streamparm for capture."""

    _fields_ = (
        ("type", c_uint32),
        ("capability", c_uint32),
        ("capturemode", c_uint32),
        ("timeperframe", Fraction),
        ("extendedmode", c_uint32),
        ("readbuffers", c_uint32),
        ("reserved", c_uint8 * 176),
    )


class RequestBuffers(ctypes.Structure):
    _fields_ = (
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("flags", c_uint8),
        ("reserved", c_uint8 * 3),
    )


class _PlanePlace(ctypes.Union):
    _fields_ = (("mem_offset", c_uint32), ("userptr", c_ulong), ("fd", c_int32))


class Plane(ctypes.Structure):
    _fields_ = (
        ("bytesused", c_uint32),
        ("length", c_uint32),
        ("m", _PlanePlace),
        ("data_offset", c_uint32),
        ("reserved", c_uint32 * 11),
    )


class _BufferPlace(ctypes.Union):
    _fields_ = (
        ("offset", c_uint32),
        ("userptr", c_ulong),
        ("planes", ctypes.POINTER(Plane)),
        ("fd", c_int32),
    )


class Buffer(ctypes.Structure):
    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("seconds", c_long),
        ("microseconds", c_long),
        ("timecode", c_uint32 * 4),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("m", _BufferPlace),
        ("length", c_uint32),
        ("reserved2", c_uint32),
        ("request_fd", c_int32),
    )


class ExportBuffer(ctypes.Structure):
    _fields_ = (
        ("type", c_uint32),
        ("index", c_uint32),
        ("plane", c_uint32),
        ("flags", c_uint32),
        ("fd", c_int32),
        ("reserved", c_uint32 * 11),
    )


READ, WRITE = 2, 1


def _number(way: int, number: int, record: type[ctypes.Structure] | type[c_int32]) -> int:
    return way << 30 | ctypes.sizeof(record) << 16 | ord("V") << 8 | number


QUERYCAP = _number(READ, 0, Capability)
ENUM_FMT = _number(READ | WRITE, 2, FormatDescription)
G_FMT = _number(READ | WRITE, 4, Format)
S_FMT = _number(READ | WRITE, 5, Format)
REQBUFS = _number(READ | WRITE, 8, RequestBuffers)
QUERYBUF = _number(READ | WRITE, 9, Buffer)
QBUF = _number(READ | WRITE, 15, Buffer)
EXPBUF = _number(READ | WRITE, 16, ExportBuffer)
DQBUF = _number(READ | WRITE, 17, Buffer)
STREAMON = _number(WRITE, 18, c_int32)
STREAMOFF = _number(WRITE, 19, c_int32)
G_PARM = _number(READ | WRITE, 21, CaptureParameters)
S_PARM = _number(READ | WRITE, 22, CaptureParameters)
ENUM_FRAMESIZES = _number(READ | WRITE, 74, FrameSize)
ENUM_FRAMEINTERVALS = _number(READ | WRITE, 75, FrameInterval)


def ask(fd: int, request: int, record: ctypes.Structure | c_int32) -> None:
    """Make one request; the kernel writes its answer into `record`. Raises OSError."""
    while True:
        try:
            fcntl.ioctl(fd, request, record)
            return
        except InterruptedError:  # a signal; Python starts many calls again, but not this one
            continue


def fourcc(code: str) -> int:
    """The kernel's number of a format's four letters ("YUYV")."""
    return int.from_bytes(code.encode("ascii"), "little")


def letters(number: int) -> str:
    """The four letters of a format's number; bit 31 marks a big-endian variety."""
    code = (number & 0x7FFFFFFF).to_bytes(4, "little").decode("ascii", "replace")
    return code + ("-BE" if number & 0x80000000 else "")
