"""A line between two network namespaces, packet by packet: it delays, loses, and can be cut.

`near` and `far` are namespaces of their own, with their own loopback: nothing here touches the
machine's network. The line runs in a thread of the test, between two TUN devices.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import itertools
import os
import random
import selectors
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from types import TracebackType

import pytest

NEAR, FAR = "10.9.0.1", "10.9.1.2"  # addresses of the two ends
_CLONE_NEWNET = 0x40000000
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_MTU, _TCP = 1500, 6
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class Weather:
    """lost: share of the packets, each way. delay_s: of each, one way. is_open: else nothing
    passes, and nobody is told."""

    lost: float = 0.0
    delay_s: float = 0.0
    is_open: bool = True


class Line:
    """weather: may be changed at any time. down_bytes: of IP packets that reached the far end.

    The far end is behind a router that gives it another address (NAT): `rebind` changes that one.
    """

    def __init__(self, seed: int = 1) -> None:
        self.weather = Weather()
        self.down_bytes = 0
        self.near = self.far = -1
        self._chance = random.Random(seed)
        self._order = itertools.count()
        self._late: list[tuple[float, int, int, bytes]] = []  # due, order, where to, packet
        self._address = _address("10.9.2.3")
        self._closing = threading.Event()
        self._stack = ExitStack()
        self._thread = threading.Thread(target=self._run, name="line")

    def __enter__(self) -> Line:
        _skip_where_impossible()
        with ExitStack() as stack:
            self.near, self.far = _namespace(stack), _namespace(stack)
            with inside(self.near):
                self._near_end = _tun(stack, f"{NEAR}/16")
            with inside(self.far):
                self._far_end = _tun(stack, f"{FAR}/16")
            stack.callback(self._thread.join)
            stack.callback(self._closing.set)
            self._thread.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def unplug(self) -> None:
        """The cable is out of the far end, which is told."""
        with inside(self.far):
            _ip("link", "set", "line", "down")

    def plug(self) -> None:
        with inside(self.far):
            _ip("link", "set", "line", "up")

    def reset(self) -> None:
        """Reset every connection of the near end: the far one gets an RST."""
        with inside(self.near):
            subprocess.run(
                ["ss", "-K", "-t", "state", "established", "src", NEAR],
                check=True, stdout=subprocess.DEVNULL,
            )  # fmt: skip

    def rebind(self) -> None:
        """The router forgets: the far end comes from another address from now on."""
        self._address = _address(f"10.9.2.{self._address[3] % 250 + 1}")

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for end in (self._near_end, self._far_end):
                selector.register(end, selectors.EVENT_READ)
            while not self._closing.is_set():
                wait_s = min(0.05, self._late[0][0] - time.monotonic()) if self._late else 0.05
                for key, _ in selector.select(max(0.0, wait_s)):
                    self._take(key.fd)
                self._deliver()

    def _take(self, end: int) -> None:
        other = self._far_end if end == self._near_end else self._near_end
        for _ in range(64):
            try:
                packet = os.read(end, 2 * _MTU)
            except OSError:  # nothing more, or the cable is out
                return
            weather = self.weather
            if not weather.is_open or self._chance.random() < weather.lost:
                continue
            translated = self._translated(packet, is_down=other == self._far_end)
            if translated is not None:
                due_s = time.monotonic() + weather.delay_s
                heapq.heappush(self._late, (due_s, next(self._order), other, translated))

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._late and self._late[0][0] <= now:
            _, _, end, packet = heapq.heappop(self._late)
            if not self.weather.is_open:
                continue
            with suppress(OSError):  # the cable is out, or the kernel has no room: it is lost
                os.write(end, packet)
                self.down_bytes += len(packet) if end == self._far_end else 0

    def _translated(self, packet: bytes, *, is_down: bool) -> bytes | None:
        """With the address that the other side knows; None: it is for nobody here."""
        if packet[0] >> 4 != 4:
            return None
        if not is_down:
            return _readdressed(packet, 12, self._address)
        return _readdressed(packet, 16, _address(FAR)) if packet[16:20] == self._address else None


@contextmanager
def inside(namespace: int) -> Iterator[None]:
    """This thread, and processes and threads that it starts, are in there."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _check(_libc.setns(namespace, _CLONE_NEWNET))
        try:
            yield
        finally:
            _check(_libc.setns(before, _CLONE_NEWNET))
    finally:
        os.close(before)


def _namespace(stack: ExitStack) -> int:
    """A new one, with its loopback up."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        _check(_libc.unshare(_CLONE_NEWNET))
        try:
            made = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            stack.callback(os.close, made)
            _ip("link", "set", "lo", "up")
        finally:
            _check(_libc.setns(before, _CLONE_NEWNET))
    finally:
        os.close(before)
    return made


def _tun(stack: ExitStack, address: str) -> int:
    """The device `line` of the namespace we are in: whoever reads gets what is sent there."""
    end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    stack.callback(os.close, end)
    fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", b"line", _IFF_TUN | _IFF_NO_PI))
    _ip("addr", "add", address, "dev", "line")
    _ip("link", "set", "line", "mtu", str(_MTU), "up")
    return end


def _readdressed(packet: bytes, place: int, address: bytes) -> bytes:
    """An IPv4 packet with another address at `place`, and sums that fit."""
    changed = bytearray(packet)
    before, changed[place : place + 4] = packet[place : place + 4], address
    behind = 4 * (packet[0] & 15)
    sums = [10] + ([behind + 16] if packet[9] == _TCP else [])
    for at in sums:
        total = ~struct.unpack_from(">H", packet, at)[0] & 0xFFFF
        for old, new in zip(
            struct.unpack(">2H", before), struct.unpack(">2H", address), strict=True
        ):
            total += (~old & 0xFFFF) + new
        while total > 0xFFFF:
            total = (total & 0xFFFF) + (total >> 16)
        struct.pack_into(">H", changed, at, ~total & 0xFFFF)
    return bytes(changed)


def _address(text: str) -> bytes:
    return bytes(int(part) for part in text.split("."))


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _check(code: int) -> None:
    if code != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _skip_where_impossible() -> None:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    if shutil.which("ip") is None or shutil.which("ss") is None:
        pytest.skip("ip and ss are missing: apt install iproute2")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("there is no /dev/net/tun")
    try:
        with ExitStack() as stack:
            _namespace(stack)
    except OSError as error:
        pytest.skip(f"no network namespace can be made: {error.strerror}")
