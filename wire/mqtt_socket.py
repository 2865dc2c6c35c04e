"""The socket under an MQTT connection: can be given up at any moment, and is watched for life."""

from __future__ import annotations

import errno
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from wire.link import Received
from wire.mqtt_url import Address

LARGEST = 1024 * 1024  # bytes of one packet: no broker may fill our memory
AHEAD = 128 * 1024  # bytes taken from the socket at once: several packets
Buffer = bytes | bytearray


class Wiring:
    """One connection's socket. `abandon` on any thread, the rest on one.

    heard_s: when bytes last came, on time.monotonic. fault: the error that ended the connection.
    take: what to do with a message.
    """

    def __init__(self, address: Address, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        """timeout_s: for TCP, and again for TLS."""
        self.heard_s = time.monotonic()
        self.fault: OSError | None = None
        self.take: Callable[[Received], None] = lambda _: None
        self._address = address
        self._tls = tls
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._abandoned = False
        self._ahead = b""
        self._at = 0  # what is before it in _ahead was given out
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

    def close(self) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    @property
    def is_ahead(self) -> bool:
        """Whether more was received than was given out."""
        return self._at < len(self._ahead)

    def receive(self, size: int, receive: Callable[[int], bytes]) -> bytes:
        """Receive at most `size` bytes, taking note of life and death."""
        if not self.is_ahead or size > LARGEST:
            self._ahead, self._at = self._receive(size, receive), 0
        if self._at == 0 and len(self._ahead) <= size:
            self._at = len(self._ahead)
            return self._ahead
        given = self._ahead[self._at : self._at + size]
        self._at += len(given)
        return given

    def _receive(self, size: int, receive: Callable[[int], bytes]) -> bytes:
        try:
            if size > LARGEST:
                raise OSError(errno.EMSGSIZE, f"a packet of more than {size} bytes came")
            # a web socket gives out only what is asked for, and keeps the rest itself
            got = receive(size if self._address.path is not None else max(size, AHEAD))
        except BlockingIOError:
            raise
        except OSError as error:
            self.fault = error
            raise
        if got:
            self.heard_s = time.monotonic()
        return got

    def send(self, buffer: Buffer, send: Callable[[Buffer], int]) -> int:
        """Send some of the buffer. Raises BlockingIOError when nothing was taken."""
        try:
            sent = send(buffer)
        except BlockingIOError:
            raise
        except OSError as error:
            self.fault = error
            raise
        if sent == 0:  # of a web socket's frame a part was: paho would forget the packet
            raise BlockingIOError
        return sent

    def _hold(self, one: socket.socket) -> socket.socket:
        with self._lock:
            self._socket = one
            if self._abandoned:
                raise ConnectionAbortedError("abandoned")
        one.settimeout(self._timeout_s)
        return one


class Bell:
    """Ends a wait from another thread. Opened by the first wait."""

    def __init__(self) -> None:
        self._listening: socket.socket | None = None
        self._ringing: socket.socket | None = None
        self._is_rung = False
        self._lock = threading.Lock()

    def ring(self) -> None:
        """Any thread, at any time."""
        with self._lock:
            if self._ringing is not None:
                if not self._is_rung:
                    self._ringing.send(b"\0")
                self._is_rung = True

    def wait(self, fileno: int, events: int, timeout_s: float) -> tuple[bool, bool]:
        """Until one of the poll events, or a ring. Returns whether fileno is readable, writable."""
        listening = self._listening or self._open()
        poll = select.poll()
        poll.register(fileno, events)
        poll.register(listening.fileno(), select.POLLIN)
        found = dict(poll.poll(int(timeout_s * 1000)))
        if listening.fileno() in found:
            with self._lock:  # who rings after this rings again
                listening.recv(4096)
                self._is_rung = False
        flags = found.get(fileno, 0)
        gone = select.POLLERR | select.POLLHUP | select.POLLNVAL
        return bool(flags & (select.POLLIN | gone)), bool(flags & select.POLLOUT)

    def close(self) -> None:
        with self._lock:
            for one in (self._listening, self._ringing):
                if one is not None:
                    one.close()
            self._listening = self._ringing = None

    def _open(self) -> socket.socket:
        with self._lock:
            self._listening, self._ringing = socket.socketpair()
            self._ringing.setblocking(False)
            self._is_rung = False
            return self._listening
