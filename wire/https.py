"""The second way to the fleet's signed files: any web server with the layout of wire/release.py.

It is trusted no more than the broker is: TLS keeps listeners out, signatures keep forgers out.
"""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from wire.block.blocks import BLOCK, NoSuchFile, block_bytes, block_count
from wire.block.bucket import Bucket
from wire.block.part import Part
from wire.complaints import shortened
from wire.troubles import Refused, Unavailable

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

CONNECT_S = 10.0
SILENT_S = 20.0  # a server that sends nothing for so long is given up
HEAD_S = 20.0  # the head of an answer takes no longer
READ_S = 60.0  # a small file takes no longer
PATIENCE_S = 120.0  # without one good block of a large file
AGAIN_S = 2.0  # between two attempts
POLL_S = 0.25
PIECE = 16 * 1024  # bytes at a time
KIB = 1024
SECURE = ("https",)
_ABSENT = (403, 404, 410)
_STRANGER = "the mirror is not who it says it is, or unknown to the authorities (mirror_ca_file): "


class _Lost(Unavailable):
    """The mirror does not answer as it should. Another try may help."""


class HttpsSource:
    """One mirror. For one thread at a time."""

    def __init__(
        self,
        url: str,
        ca_file: Path | None = None,
        kib_per_s: int | None = None,
        patience_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        schemes: tuple[str, ...] = SECURE,
    ) -> None:
        """url: https://HOST[:PORT][/FOLDER], the folder that holds metadata/ and targets/.
        ca_file: trusted instead of the machine's authorities. schemes: of addresses that are
        taken; a tool of tests may add http. Raises Refused, Unavailable."""
        self._url = checked_address(url, schemes)
        self._patience_s = patience_s
        self._clock = clock
        rate = math.inf if kib_per_s is None else float(kib_per_s * KIB)
        self._bucket = Bucket(rate, max(PIECE, rate / 2), clock)
        self.received_bytes = 0  # of files' contents
        with _urllib3():
            import urllib3
        logging.getLogger("urllib3").setLevel(logging.ERROR)  # odd headers are logged in full
        self._pool = urllib3.PoolManager(
            num_pools=1,
            retries=False,
            timeout=urllib3.Timeout(connect=CONNECT_S, read=SILENT_S),
            ssl_context=_context(ca_file),
        )
        self._pool.pool_classes_by_scheme = _impatient_pools()

    def read(self, path: str, most_bytes: int) -> bytes:
        """A whole small file. Raises NoSuchFile, Unavailable, Refused if it is larger."""
        until_s = self._clock() + READ_S
        content = bytearray()
        with self._answer(path, {}) as answer:
            for piece in self._pieces(answer, path):
                content += piece
                if len(content) > most_bytes:
                    raise Refused(f"{self._url}{path}: larger than {most_bytes} bytes")
                if self._clock() > until_s:
                    raise Unavailable(f"{self._url}{path}: too slow: given up after {READ_S:.0f} s")
        return bytes(content)

    def fetch(
        self,
        path: str,
        part: Part,
        progress: Callable[[int], None],
        is_over: Callable[[], bool],
    ) -> None:
        """Until the part is whole and right; blocks that it has are not asked for again.

        path: as of `wire.release.target_file`. progress: is told how many bytes are there. Over
        lost connections. Raises Unavailable when is_over says so, after no good block for long, or
        when the disk does not take more; NoSuchFile; Refused if the mirror has other bytes.
        """
        good_s, had = self._clock(), part.have_bytes
        try:
            while not part.verify():
                progress(part.have_bytes)
                why = self._try_missing(path, part, progress, is_over)
                if part.have_bytes > had:
                    good_s, had = self._clock(), part.have_bytes
                elif self._clock() - good_s > self._patience_s:
                    raise Unavailable(f"{self._url}{path}: {why}")
                if why:
                    self._wait(AGAIN_S, is_over)
        finally:
            part.settle()
        progress(part.have_bytes)

    def close(self) -> None:
        self._pool.clear()

    def _try_missing(
        self, path: str, part: Part, progress: Callable[[int], None], is_over: Callable[[], bool]
    ) -> str:
        """One request for what is missing. Returns why it ended early, or nothing."""
        first, behind = next(iter(part.missing()))
        end = min(behind * BLOCK, part.size)
        if part.size == 0:
            part.write(0, b"")
            return ""
        try:
            with self._answer(path, {"Range": f"bytes={first * BLOCK}-{end - 1}"}) as answer:
                if answer.status != 206:
                    first, behind = 0, block_count(part.size)
                elif not _begins_at(answer, first * BLOCK):
                    return "answers another range than was asked for"
                return self._take_blocks(answer, path, part, (first, behind), progress, is_over)
        except _Lost as trouble:
            return str(trouble).removeprefix(f"{self._url}{path}: ")

    def _take_blocks(
        self,
        answer: BaseHTTPResponse,
        path: str,
        part: Part,
        blocks: tuple[int, int],
        progress: Callable[[int], None],
        is_over: Callable[[], bool],
    ) -> str:
        """Write these blocks, the first and the first behind the last, as long as some lack."""
        waiting, good_s = bytearray(), self._clock()
        number, behind = blocks
        for piece in self._pieces(answer, path):
            waiting += piece
            while number < behind and len(waiting) >= (size := block_bytes(part.size, number)):
                block = bytes(waiting[:size])
                del waiting[:size]
                if not part.write(number, block) and not part.has(number):
                    raise Refused(
                        f"{self._url}{path}: other bytes than were signed: mistrust the mirror"
                    )
                number, good_s = number + 1, self._clock()
                progress(part.have_bytes)
            _check_going_on(is_over)
            if number == behind or part.next_missing(number) is None:
                return ""  # also of a server that sends on and on
            if self._clock() - good_s > self._patience_s:
                return f"too slow: no block in {self._patience_s:.0f} s"
            self._wait(self._bucket.wait_s(len(piece)), is_over)
            self._bucket.take(len(piece))
        return "the connection was lost"

    def _pieces(self, answer: BaseHTTPResponse, path: str) -> Iterator[bytes]:
        """What comes, as it comes."""
        with self._said_in_words(path):
            while piece := answer.read1(PIECE, decode_content=False):
                self.received_bytes += len(piece)
                yield piece

    @contextlib.contextmanager
    def _answer(self, path: str, headers: dict[str, str]) -> Iterator[BaseHTTPResponse]:
        """The answer to a request for a file. Raises NoSuchFile, Unavailable."""
        where = self._url + quote(path, safe="/%")  # what is quoted already stays so
        asked = {"Accept-Encoding": "identity", "User-Agent": "vedette", **headers}
        with self._said_in_words(path):
            answer = self._pool.request(
                "GET", where, headers=asked, preload_content=False, redirect=False
            )
        try:
            if answer.status in _ABSENT:
                raise NoSuchFile(f"{where}: there is no such file ({answer.status})")
            if answer.status not in (200, 206):
                raise _Lost(f"{where}: the mirror answers {answer.status}")
            yield answer
        finally:
            answer.close()  # not to be drained: it may be endless

    @contextlib.contextmanager
    def _said_in_words(self, path: str) -> Iterator[None]:
        from urllib3.exceptions import HTTPError, SSLError

        try:
            yield
        except (HTTPError, OSError) as error:
            why = _STRANGER if isinstance(error, SSLError) else ""
            said = str(error).rpartition("): ")[2]  # after the connection, as Python writes objects
            raise _Lost(f"{self._url}{path}: {why}{shortened(said)}") from None

    def _wait(self, wait_s: float, is_over: Callable[[], bool]) -> None:
        until_s = self._clock() + wait_s
        while (left_s := until_s - self._clock()) > 0:
            _check_going_on(is_over)
            time.sleep(min(left_s, POLL_S))


def checked_address(url: str, schemes: tuple[str, ...] = SECURE) -> str:
    """The address with a slash at its end. Raises Refused with what to write."""
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_right = False
    if not is_right or parts.query or parts.fragment or "@" in parts.netloc:
        raise Refused(f"mirror {url!r}: write https://HOST[:PORT][/FOLDER]")
    return url.rstrip("/") + "/"


def _context(ca_file: Path | None) -> ssl.SSLContext:
    """As for a broker: a certificate that is good for one is good for the other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
        return context
    try:
        context.load_verify_locations(ca_file)
    except ssl.SSLError:
        raise Refused(f"{ca_file}: holds no certificate in PEM (mirror_ca_file)") from None
    except OSError as error:
        raise Unavailable(f"{ca_file}: cannot be read: {error.strerror}") from None
    return context


def _impatient_pools() -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's limits of time are for each byte: who sends one now and then holds us for ever."""
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.exceptions import ProtocolError
    from urllib3.response import HTTPResponse

    class Impatient(HTTPConnection):
        def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3's own
            is_late = threading.Event()
            timer = threading.Timer(HEAD_S, _cut, (self.sock, is_late))
            timer.daemon = True
            timer.start()
            try:
                answer = super().getresponse()
            finally:
                timer.cancel()
            if is_late.is_set():  # half a head looks like a whole one
                answer.close()
                raise ProtocolError("too slow: its answer does not begin")
            return answer

    class Secure(Impatient, HTTPSConnection):
        """The same over TLS."""

    class Pool(HTTPConnectionPool):
        ConnectionCls = Impatient

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": Pool, "https": SecurePool}


def _cut(connection: socket.socket, is_late: threading.Event) -> None:
    """Whoever reads from it reads no more. On any thread."""
    is_late.set()
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _begins_at(answer: BaseHTTPResponse, first_byte: int) -> bool:
    return answer.headers.get("Content-Range", "").startswith(f"bytes {first_byte}-")


def _check_going_on(is_over: Callable[[], bool]) -> None:
    if is_over():
        raise Unavailable("fetching was ended; what came is kept")


@contextlib.contextmanager
def _urllib3() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise Unavailable(f"cannot load urllib3: {error}: pip install vedette") from None
