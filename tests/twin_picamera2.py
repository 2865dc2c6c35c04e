"""Stands for the module `picamera2` of a Raspberry Pi, which cannot be installed elsewhere.

Written after its sources (picamera2.py, request.py, allocators/dmaallocator.py): names, signatures,
which thread calls what under which lock, what is raised, and what it forgives. Memory is a real
descriptor, mapped by whoever reads it. `BENCH` makes it fail.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType, SimpleNamespace
from typing import Any

import numpy as np

from tests.twin_libcamera import ColorSpace, Transform

SENSOR = (4608, 2592)
SHORTEST_US = 8_333  # 120 a second
STRIDE = 64
WAIT_S = 30.0


@dataclass
class Bench:
    """What is wrong with the camera, and what was seen of its life."""

    cameras: list[str] = field(default_factory=lambda: ["imx708_wide"])
    busy: bool = False
    no_memory: bool = False
    silent: bool = False  # the cable came loose
    hangs: bool = False  # stop() does not return
    start_s: float = 0.0  # how long start() takes
    drops: int = 0  # frames that the sensor's receiver loses from now on
    slept_ns: int = 0  # by which CLOCK_BOOTTIME is ahead
    opened: int = 0
    last: Any = None  # the Picamera2 that was opened last
    queued_twice: int = 0
    queued_late: int = 0  # requests that came back to a camera that was restarted meanwhile


BENCH = Bench()
NOTHING: Mapping[str, Any] = MappingProxyType({})
AS_IT_IS = Transform()


class LibcameraRequest:
    """libcamera.Request: buffers by stream."""

    def __init__(self, buffers: dict[str, Any], life: int) -> None:
        self.buffers = buffers
        self.life = life
        self.metadata: dict[str, int] = {}


class FrameBuffer:
    """libcamera.FrameBuffer, and the image processor's view of it."""

    def __init__(self, nbytes: int) -> None:
        descriptor = os.memfd_create("twin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, nbytes)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self.planes = [SimpleNamespace(fd=descriptor, offset=0, length=nbytes)]
        self.pixels = np.frombuffer(mmap.mmap(descriptor, nbytes), np.uint8)

    def paint(self, number: int, luma: int) -> None:
        """Another grey in each frame. luma: the bytes of the Y rows."""
        self.pixels[:luma] = 30 + number * 7 % 200
        self.pixels[luma:] = 128

    def close(self) -> None:
        os.close(self.planes[0].fd)


class CompletedRequest:
    def __init__(self, request: LibcameraRequest, picam2: Picamera2) -> None:
        self.request: LibcameraRequest | None = request
        self.ref_count = 1
        self.lock = picam2.request_lock
        self.picam2 = picam2
        self.stop_count = picam2.stop_count
        picam2.out += 1
        # copies, there: here what waits must be small, or tests take it for what grows
        self.config, self.stream_map = picam2.camera_config, picam2.stream_map

    def acquire(self) -> None:
        with self.lock:
            if self.ref_count == 0:
                raise RuntimeError("CompletedRequest: acquiring lock with ref_count 0")
            self.ref_count += 1

    def release(self) -> None:
        with self.lock:
            self.ref_count -= 1
            if self.ref_count < 0:
                raise RuntimeError("CompletedRequest: lock now has negative ref_count")
            if self.ref_count == 0:
                assert self.request is not None
                if self.picam2.allocator is None:
                    BENCH.queued_late += 1  # an AttributeError, there
                elif self.stop_count == self.picam2.stop_count and self.picam2.started:
                    self.picam2.queue_request(self.request)
                self.picam2.out -= 1
                self.request = None

    def get_metadata(self) -> dict[str, int]:
        assert self.request is not None
        return dict(self.request.metadata)


def attached() -> list[dict[str, object]]:
    """What global_camera_info() says."""
    return [
        {"Model": model, "Location": 2, "Rotation": 180, "Id": f"/base/{model}@1a", "Num": at}
        for at, model in enumerate(BENCH.cameras)
    ]


class Picamera2:
    global_camera_info = staticmethod(attached)

    def __init__(
        self, camera_num: int = 0, verbose_console: Any = None, tuning: Any = None,
        allocator: Any = None,
    ) -> None:  # fmt: skip
        self.global_camera_info()[camera_num]["Num"]  # IndexError, as there
        try:
            if BENCH.busy:
                raise RuntimeError("Failed to acquire camera: Device or resource busy")
        except Exception:
            raise RuntimeError("Camera __init__ sequence did not complete.")  # noqa: B904
        BENCH.opened += 1
        BENCH.last = self
        self.camera: object | None = object()
        self.lock = threading.Lock()
        self.request_lock = threading.Lock()
        self.started = False
        self.stop_count = 0
        self.allocator: object | None = object()
        self.out = 0  # requests that are not free: their memory stays
        self.camera_config: dict[str, Any] | None = None
        self.stream_map: dict[str, Any] | None = None
        self.pre_callback: Callable[[CompletedRequest], None] | None = None
        self.completed_requests: list[CompletedRequest] = []
        self._max_queue_len = 1
        self._queue: deque[LibcameraRequest] = deque()
        self._buffers: list[FrameBuffer] = []
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._jobs: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._number = 0

    @property
    def camera_controls(self) -> dict[str, tuple[Any, Any, Any]]:
        return {
            "AfMode": (0, 2, 0),
            "AeEnable": (False, True, True),
            "AnalogueGain": (1.0, 16.0, 1.0),
            "ColourGains": (0.0, 32.0, None),
            "ExposureTime": (26, 220_417_486, 20_000),
            "FrameDurationLimits": (SHORTEST_US, 220_535_845, 33_333),
        }

    def create_video_configuration(
        self, main: Mapping[str, Any] = NOTHING, lores: Mapping[str, Any] | None = None,
        raw: Mapping[str, Any] | None = NOTHING, transform: Transform = AS_IT_IS,
        colour_space: ColorSpace | None = None, buffer_count: int = 6,
        controls: Mapping[str, Any] = NOTHING, display: str | None = "main",
        encode: str | None = "main", queue: bool = True,
        sensor: Mapping[str, Any] | None = NOTHING, use_case: str = "video",
    ) -> dict[str, Any]:  # fmt: skip
        if self.camera is None:
            raise RuntimeError("Camera not opened")
        for stream in filter(None, (main, lores)):
            if bad := set(stream) - {"format", "size", "stride", "preserve_ar"}:
                raise ValueError(f"Bad key {bad!r}")
        return {
            "use_case": use_case, "transform": transform, "colour_space": colour_space,
            "buffer_count": buffer_count, "queue": queue,
            "main": {"format": "XBGR8888", "size": (1280, 720), "preserve_ar": True, **main},
            "lores": None if lores is None else {"format": "YUV420", **lores},
            "raw": raw, "controls": {"FrameDurationLimits": (33_333, 33_333), **controls},
            "sensor": sensor, "display": display, "encode": encode,
        }  # fmt: skip

    def configure(self, camera_config: dict[str, Any] | None = None) -> None:
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        assert camera_config is not None
        config = camera_config.copy()
        assert isinstance(config["colour_space"], ColorSpace)
        assert isinstance(config["transform"], Transform)
        for name in ("main", "lores"):
            if config[name] is not None:
                config[name] = self._checked(config[name], config["main"])
        for name in config["controls"]:
            if name not in self.camera_controls:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
        if BENCH.no_memory:
            raise RuntimeError("failed to allocate capture buffers for stream 0")
        self.camera_config = config
        self.stream_map = {name: name if config[name] else None for name in ("main", "lores")}
        self._max_queue_len = int(config["queue"] and config["buffer_count"] > 1)

    def _checked(self, stream: dict[str, Any], main: dict[str, Any]) -> dict[str, Any]:
        width, height = stream["size"]
        if width % 2 or height % 2:
            raise RuntimeError("width and height should be even")
        if width > main["size"][0] or height > main["size"][1]:
            raise RuntimeError("lores stream dimensions may not exceed main stream")
        width, height = min(width, SENSOR[0]), min(height, SENSOR[1])
        stride = -(-width // STRIDE) * STRIDE
        framesize = stride * height * 3 // 2
        return {**stream, "size": (width, height), "stride": stride, "framesize": framesize}

    def camera_configuration(self) -> dict[str, Any] | None:
        return self.camera_config

    def queue_request(self, request: LibcameraRequest) -> None:
        BENCH.queued_twice += request in self._queue
        BENCH.queued_late += request.life != self.stop_count
        self._queue.append(request)

    def start(self, config: Any = None, show_preview: bool = False) -> None:
        assert self.camera_config is not None and not self.started
        time.sleep(BENCH.start_s)
        for old in self._buffers:
            old.close()
        self._buffers = []
        self._queue.clear()
        for _ in range(self.camera_config["buffer_count"]):
            buffers = {}
            for name, stream in (self.stream_map or {}).items():
                if stream is not None:
                    buffers[name] = FrameBuffer(self.camera_config[name]["framesize"])
                    self._buffers.append(buffers[name])
            self.queue_request(LibcameraRequest(buffers, self.stop_count))
        self.started = True
        if self._thread is None:  # the event loop of its NullPreview
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        if not self.started:
            return
        done = threading.Event()
        self._jobs.append((self._stop, done))
        self._wake.set()
        assert done.wait(WAIT_S)

    def close(self) -> None:
        if self.camera is None:
            return
        self.stop()
        self.camera = self.allocator = None
        self._wake.set()
        if self._thread is not None:
            self._thread.join(WAIT_S)
        for old in self._buffers:
            old.close()

    def _stop(self) -> None:
        self.stop_count += 1
        self.started = False
        while self.completed_requests:
            self.completed_requests.pop(0).release()

    def _run(self) -> None:
        """libcamera's thread and picamera2's event loop in one."""
        due = time.monotonic()
        while self.camera is not None:
            period = self._period_s()
            due = max(due + period, time.monotonic() - period)
            self._wake.wait(max(0.0, due - time.monotonic()))
            self._wake.clear()
            while self._jobs and not BENCH.hangs:
                job, done = self._jobs.popleft()
                job()
                done.set()
            if self.started and not BENCH.silent and time.monotonic() >= due:
                self._capture(period)

    def _period_s(self) -> float:
        if self.camera_config is None:
            return 0.01
        return float(self.camera_config["controls"]["FrameDurationLimits"][0]) / 1e6

    def _capture(self, period: float) -> None:
        self._number += 1
        if BENCH.drops:
            BENCH.drops -= 1
            return
        if not self._queue:
            return  # all are with the application
        request = self._queue.popleft()
        for name, buffer in request.buffers.items():
            config = (self.camera_config or {})[name]
            buffer.paint(self._number, config["stride"] * config["size"][1])
        stamp = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + BENCH.slept_ns
        request.metadata.update(SensorTimestamp=stamp, FrameDuration=round(period * 1e6))
        self._process(CompletedRequest(request, self))

    def _process(self, done: CompletedRequest) -> None:
        with self.lock:
            done.acquire()
            self.completed_requests.append(done)
            if self.pre_callback:
                self.pre_callback(done)
            done.release()
            while len(self.completed_requests) > self._max_queue_len:
                self.completed_requests.pop(0).release()
