"""The web server: listens, serves until it is told to end, and says how it is."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from fleet.serve.gate import Gate
from wire import logs
from wire.systemd import Notifier
from wire.troubles import Refused, Unavailable

END_S = 2  # for answers that are under way
BACKLOG = 256
MOST_CONNECTIONS = 1000
TICK_S = 1
_HINTS = {
    errno.EADDRINUSE: "end what does, or name another by --listen",
    errno.EADDRNOTAVAIL: "it is no address of this machine: name one that is by --listen",
    errno.EACCES: "ports below 1024 are for root: name another by --listen",
}


@dataclass(frozen=True)
class Listen:
    """Where to listen. Certificate and key: files; None: no TLS."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None


def listening(listen: Listen) -> socket.socket:
    """A socket that takes connections. Raises Refused, Unavailable."""
    try:
        family = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM)[0][0]
        taken = socket.create_server((listen.host, listen.port), family=family, backlog=BACKLOG)
        # asyncio sees to this for sockets of its own only; small answers would wait for 40 ms
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return taken
    except socket.gaierror:
        raise Refused(f"--listen: there is no address {listen.host!r}") from None
    except OSError as error:
        where = f"{listen.host}:{listen.port}"
        why = _HINTS.get(error.errno or 0, "name another by --listen")
        raise Unavailable(f"{where}: cannot listen there: {error.strerror}: {why}") from None


def serve(
    app: Gate, listen: Listen, taken: socket.socket, notifier: Notifier, status: Callable[[], str],
    ending: Callable[[], None], end_s: float | None,
) -> None:  # fmt: skip
    """Serve until SIGTERM, SIGINT, or `end_s` (by time.monotonic). A second signal leaves at once.
    status: how all is, one line; ending: called when the end begins. Raises Refused if the
    certificate is none."""
    import uvicorn

    class Server(uvicorn.Server):
        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            with _ended_by_signals(self._end):
                yield

        def _end(self) -> None:
            self.should_exit = True

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.end()
            ending()
            await super().shutdown(sockets)

    async def tick() -> None:
        now_s = time.monotonic()
        if notifier.due(now_s):
            notifier.watchdog()
        notifier.status(status())
        server.should_exit |= end_s is not None and now_s >= end_s

    _hand_log_to_ours()
    config = uvicorn.Config(
        app, loop="asyncio", log_config=None, access_log=False, server_header=False,
        proxy_headers=False, ws="none", lifespan="on", timeout_graceful_shutdown=END_S,
        limit_concurrency=MOST_CONNECTIONS, callback_notify=tick, timeout_notify=TICK_S,
        ssl_certfile=listen.certificate, ssl_keyfile=listen.key,
    )  # fmt: skip
    try:
        config.load()
    except OSError as error:  # of ssl, too
        why = error.strerror or str(error)
        raise Refused(f"--tls-cert, --tls-key: {why}: give both in PEM") from None
    server = Server(config)
    notifier.ready(status())
    asyncio.run(server.serve(sockets=[taken]))


@contextlib.contextmanager
def _ended_by_signals(end: Callable[[], None]) -> Iterator[None]:
    heard: list[int] = []

    def hear(number: int, _: object) -> None:
        if heard:
            os._exit(128 + number)
        heard.append(number)
        end()

    before = {each: signal.signal(each, hear) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _hand_log_to_ours() -> None:
    """What the server and its framework complain about stands in our log."""
    ours = logging.getLogger(logs.ROOT)
    for name in ("uvicorn", "asyncio", "litestar"):
        theirs = logging.getLogger(name)
        theirs.handlers, theirs.propagate = list(ours.handlers), False
        theirs.setLevel(logging.WARNING)
