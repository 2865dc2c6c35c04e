"""Two UDP ports for one RTSP stream: pictures on the even one, the camera's reports on the odd."""

from __future__ import annotations

import re
import select
import socket
from collections.abc import Iterator
from contextlib import suppress

from wire.troubles import Unavailable

WAIT_S = 0.1
RECEIVE_BYTES = 1 << 21  # a key frame comes at once; more than the kernel's limit is cut to it
MOST_AT_ONCE = 256
FIRST = 49152  # RFC 6335: from here on for use by anybody
MOST_PAIRS = 400


class UdpPorts:
    """peer: the camera's address, whose packets alone are taken. ours: the address to listen on."""

    def __init__(self, peer: str, ours: str) -> None:
        self._peer = peer
        self._family = socket.AF_INET6 if ":" in peer else socket.AF_INET
        self._pictures, self._reports = self._pair(ours)
        port = self._pictures.getsockname()[1]
        self.wish = f"RTP/AVP;unicast;client_port={port}-{port + 1}"
        self._packet = memoryview(bytearray(65536))

    def expect(self, transport: str) -> None:
        """transport: the camera's answer. Packets of other senders are left out by the kernel."""
        told = re.search(r"server_port=(\d{1,5})-(\d{1,5})", transport)
        source = re.search(r"source=([0-9a-fA-F.:]+)", transport)
        if told is not None and source is not None and source[1] != self._peer:
            return  # it sends from another address than it is asked at
        if told is not None:
            with suppress(OSError):
                self._pictures.connect((self._peer, int(told[1])))
                self._reports.connect((self._peer, int(told[2])))

    def packets(self) -> Iterator[memoryview]:
        """What waits, each valid until the next; after a tenth of a second without any, none."""
        try:
            ready, _, _ = select.select((self._pictures, self._reports), (), (), WAIT_S)
            if self._reports in ready:
                self._reports.recv_into(self._packet)
            if self._pictures not in ready:
                return
            for _ in range(MOST_AT_ONCE):
                yield self._packet[: self._pictures.recv_into(self._packet)]
        except (BlockingIOError, ConnectionRefusedError):
            return  # nothing more; or the camera has closed its port, which the silence will show

    def close(self) -> None:
        self._pictures.close()
        self._reports.close()

    def _pair(self, ours: str) -> tuple[socket.socket, socket.socket]:
        for port in range(FIRST, FIRST + 2 * MOST_PAIRS, 2):
            pair: list[socket.socket] = []
            try:
                for number in (port, port + 1):
                    one = socket.socket(self._family, socket.SOCK_DGRAM)
                    pair.append(one)
                    one.bind((ours, number))
                    one.setblocking(False)
            except OSError:
                for one in pair:
                    one.close()
                continue
            pair[0].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            return pair[0], pair[1]
        raise Unavailable("no two UDP ports beside each other are free here: use transport=tcp")
