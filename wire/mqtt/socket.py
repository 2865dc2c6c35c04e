"""The socket under an MQTT connection: can be given up at any moment, and is watched for life."""

from __future__ import annotations

import errno
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from wire.link import Received
from wire.mqtt.inward import LARGEST, Inward
from wire.mqtt.outward import Outward
from wire.mqtt.packets import publish_head
from wire.mqtt.url import Address

MANY = 8  # packets written at once

Buffer = bytes | bytearray
Bytes = bytes | bytearray | memoryview


class Wiring:
    """One connection's socket. `abandon` and `publish` on any thread, the rest on one.

    What comes in thousands goes by paho, both ways, unless it travels in a web socket's frames.
    heard_s: when bytes last came, on time.monotonic. fault: the error that ended the connection.
    is_5: whether the connection speaks MQTT 5.
    """

    def __init__(self, address: Address, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        """timeout_s: for TCP, and again for TLS."""
        self.heard_s = time.monotonic()
        self.fault: OSError | None = None
        self.is_5 = True
        self._inward = Inward(lambda _: None)
        self._outward = Outward()
        self._has_ended = False  # the other side closed
        self._address = address
        self._tls = tls
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._abandoned = False
        self._lock = threading.Lock()

    def dial(self) -> socket.socket:
        """TCP to the first of the host's addresses that answers. Raises OSError."""
        where = (self._address.host, self._address.port)
        fault = OSError("the name has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            *where, type=socket.SOCK_STREAM
        ):
            try:
                plain = self._hold(socket.socket(family, kind, protocol))
                plain.connect(address)
                plain.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
                )  # what is small goes now
                self.heard_s = time.monotonic()
                return plain
            except OSError as error:
                self.close()
                fault = error
        raise fault

    def encrypt(self, plain: socket.socket) -> ssl.SSLSocket:
        """TLS over it. Raises OSError (an ssl.SSLError is one) and ValueError."""
        if self._tls is None:
            raise ValueError("no TLS here")
        secured = self._tls.wrap_socket(
            plain, server_hostname=self._address.host, do_handshake_on_connect=False
        )
        self._hold(secured)
        secured.do_handshake()
        return secured

    def abandon(self) -> None:
        """End what blocks in dial, in encrypt, or in the handshake of the web socket."""
        with self._lock:
            self._abandoned = True
            if self._socket is not None:
                with suppress(OSError):  # not connected, or gone already
                    self._socket.shutdown(socket.SHUT_RDWR)

    def opened(self, take: Callable[[Received], None], paho_waits: Callable[[], bool]) -> None:
        """Connected. take: what to do with a message. paho_waits: whether it has to write."""
        self._inward.take = take
        if self._address.path is None:
            self._outward.open(paho_waits)

    def hang_up(self, close: Callable[[], None]) -> None:
        """Close the socket while nobody writes to it."""
        self._outward.close()
        close()

    def close(self) -> None:
        self._outward.close()
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    @property
    def wants_to_write(self) -> bool:
        return self._outward.waiting_bytes > 0

    @property
    def waiting_bytes(self) -> int:
        """Of messages that `publish` took."""
        return self._outward.waiting_bytes

    def largest(self) -> int:
        """Bytes of the largest message that waits, 0 if none does."""
        return self._outward.largest()

    def publish(self, topic: str, payload: bytes, retain: bool) -> bool:
        """Send a message of QoS 0 without paho. False: that cannot be."""
        if not self._outward.is_open:
            return False
        head = publish_head(topic.encode(), len(payload), retain, self.is_5)
        if head is None:
            return False
        # OpenSSL cannot read and write on two threads at a time
        write = None if isinstance(self._socket, ssl.SSLSocket) else self._write
        self._outward.put(head, payload, write)
        return True

    def read(self, read: Callable[[], object]) -> None:
        """Take what came. read: lets paho take one packet of it, through `receive`."""
        if self._address.path is not None:
            read()
            return
        try:
            if not self._inward.fill(self._receive_into):
                self._has_ended = True
        except BlockingIOError:
            return
        except OSError as error:
            self.fault = error
        while self._inward.sort(self.is_5):
            left = self._inward.left
            read()
            if self._inward.left == left:  # it wants no more: the connection ended
                break
        if self._has_ended or self.fault is not None:
            read()

    def write(self, write: Callable[[], object]) -> None:
        """Write what waits. write: lets paho write, through `send`."""
        if self._outward.has_begun:
            self._outward.go_on(self._write, 1)
        self._outward.let(write)
        self._outward.go_on(self._write, MANY)

    def receive(self, size: int, receive: Callable[[int], bytes]) -> bytes:
        """For paho: at most `size` bytes. receive: from its socket. Raises BlockingIOError."""
        try:
            if size > LARGEST:
                raise OSError(errno.EMSGSIZE, f"a packet of more than {size} bytes came")
            if self._address.path is None:
                return self._given(size)
            got = receive(size)
        except BlockingIOError:
            raise
        except OSError as error:
            self.fault = error
            raise
        if got:
            self.heard_s = time.monotonic()
        return got

    def send(self, buffer: Buffer, send: Callable[[Buffer], int]) -> int:
        """For paho: send some of the buffer. Raises BlockingIOError when nothing was taken."""
        try:
            sent = self._outward.theirs(buffer, lambda: send(buffer))
        except BlockingIOError:
            raise
        except OSError as error:
            self.fault = error
            raise
        if sent == 0:  # of a web socket's frame a part was: paho would forget the packet
            raise BlockingIOError
        return sent

    def _given(self, size: int) -> bytes:
        try:
            return self._inward.give(size)
        except BlockingIOError:
            if self.fault is not None:
                raise self.fault from None
            if self._has_ended:
                return b""
            raise

    def _receive_into(self, view: memoryview) -> int:
        if self._socket is None:
            return 0
        try:
            came = self._socket.recv_into(view)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None
        if came:
            self.heard_s = time.monotonic()
            # a broker that lets Nagle gather waits for our word before it sends what is left, and
            # the kernel would keep that back for 40 ms; it forgets this setting by itself
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return came

    def _write(self, pieces: Sequence[Bytes]) -> int:
        if self._socket is None:
            return 0
        if not isinstance(self._socket, ssl.SSLSocket):
            return self._socket.sendmsg(pieces)
        try:
            return self._socket.send(pieces[0])
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return 0

    def _hold(self, one: socket.socket) -> socket.socket:
        with self._lock:
            self._socket = one
            if self._abandoned:
                raise ConnectionAbortedError("abandoned")
        one.settimeout(self._timeout_s)
        return one
