"""A gate to a server of loopback that speaks TLS to whoever comes."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from types import TracebackType

from tests.certificates import Certified

CHUNK = 65536


class TlsGate:
    """Passes everything on to `target_port`. Use it in a `with`; port: where it listens."""

    def __init__(self, target_port: int, issued: Certified) -> None:
        self._target_port = target_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(issued.certificate, issued.key)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])

    def __enter__(self) -> TlsGate:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._listening.accept()
                threading.Thread(target=self._pass, args=(one,), daemon=True).start()

    def _pass(self, plain: socket.socket) -> None:
        with (
            suppress(OSError),
            self._context.wrap_socket(plain, server_side=True) as one,
            socket.create_connection(("127.0.0.1", self._target_port)) as other,
        ):
            back = threading.Thread(target=_pump, args=(other, one), daemon=True)
            back.start()
            _pump(one, other)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(CHUNK):
            sink.sendall(content)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
