"""Between the processes of one device: datagrams on Unix sockets in the run folder.

The runtime sends what it is and does; the agent sends what it wishes. Nobody waits for anybody: a
datagram that nobody takes, or that finds no room, is not sent. That costs nothing, because Totals
grow from the start of the process: the next one says it again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
from pathlib import Path
from typing import IO, Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from wire.happenings import Places
from wire.messages import (
    Identity,
    LogLevel,
    Losses,
    Natural,
    Phase,
    PipelineSettings,
    Scores,
    StageCounts,
    Text,
)
from wire.names import Digest, Name
from wire.results import Result
from wire.troubles import Refused, Unavailable

MOST_BYTES = 128 * 1024
LONGEST_PATH = 107  # bytes: sun_path
ROOM_BYTES = 1 << 20  # the kernel gives less where its limit is lower


class Totals(Struct, frozen=True, tag="totals"):
    """A runtime process since it started. run: its random id. seconds: since then. Counts grow.

    unloaded: why a newer model than the one that runs was not loaded. formats: of models that an
    engine here can run, the best first. degraded: why the model runs without its accelerator.
    phase "no_model": it waits for one; model, version, digest
    and engine are empty. places: its zones and lines, None where there are none.
    """

    pipeline: Name
    run: Identity
    seconds: Annotated[float, Meta(ge=0, le=1e12)]  # a bound keeps infinities and NaN out
    phase: Phase
    absent: Text | None
    model: Text
    version: Text
    digest: Text
    engine: Text
    camera: Text
    frames: Natural
    losses: Losses
    stages: StageCounts
    unsent: Natural
    rss_bytes: Natural | None
    settings: PipelineSettings
    unloaded: Text | None = None
    scores: Scores = Scores()
    formats: tuple[Text, ...] = ()
    degraded: Text | None = None
    places: Places | None = None


class Failed(Struct, frozen=True, tag="failed"):
    """The process ends because it cannot do what it is there for. why: a sentence."""

    pipeline: Name
    why: Text


class Found(Struct, frozen=True, tag="found"):
    """A result to publish."""

    result: Result


class Answer(Struct, frozen=True, tag="answer"):
    """What became of a wish. content: the JPEG of a snapshot, or JSON: of a bench, a report.

    later: it was not granted for now, which says nothing of what was asked for: ask again.
    """

    pipeline: Name
    id: str
    ok: bool
    text: Text
    content: bytes | None = None
    later: bool = False


class Apply(Struct, frozen=True, tag="apply"):
    """Use these settings from now on; Totals say which are in use. log_level: None: as it is."""

    settings: PipelineSettings
    log_level: LogLevel | None = None


class TakeSnapshot(Struct, frozen=True, tag="snapshot"):
    """Send the newest frame with what was found in it as a JPEG of at most so many bytes."""

    id: str
    most_bytes: int


class RunBench(Struct, frozen=True, tag="bench"):
    """Measure the model beside the live loop, and send the figures."""

    id: str
    frames: int


class CheckModel(Struct, frozen=True, tag="check"):
    """Try an installed model of the store in a child process: contract, golden answers, memory.
    The answer's content is the JSON of a CheckReport."""

    id: str
    digest: Digest


class LoadModel(Struct, frozen=True, tag="load"):
    """Run an installed model from now on; None: the configured one. The answer's content is the
    JSON of a LoadReport."""

    id: str
    digest: Digest | None


class CheckReport(Struct, frozen=True):
    """What the check of a model found. golden: samples that were right."""

    name: str
    version: str
    engine: str
    golden: Natural
    load_ms: float
    inference_us: float
    peak_rss_mb: float


class LoadReport(Struct, frozen=True):
    """Which model runs now, and how it took over. gap_s: how long there were no results because
    memory could not hold both models; None: they were swapped between two frames."""

    digest: Text
    seconds: float
    gap_s: float | None = None
    model: Text = ""
    version: Text = ""


class Leave(Struct, frozen=True, tag="leave"):
    """End the process in order; systemd starts it again."""

    id: str


FromRuntime = Totals | Failed | Found | Answer
FromAgent = Apply | TakeSnapshot | RunBench | CheckModel | LoadModel | Leave
Incoming = TypeVar("Incoming")
Fate = Literal["taken", "no_room", "nobody"]


def agent_socket(run_folder: Path) -> Path:
    return run_folder / "agent.sock"


def pipeline_socket(run_folder: Path, pipeline: str) -> Path:
    return run_folder / f"pipeline-{pipeline}.sock"


class Mailbox(Generic[Incoming]):
    """One socket with an address of its own. Sending never waits; receiving only if told to.

    strays: datagrams that were no message, and were thrown away.
    """

    def __init__(self, path: Path, takes: Any) -> None:
        """Take the address, also from a process that died. takes: the messages that are received.

        Raises Unavailable if another process has the address or the folder cannot be used, Refused
        if the path is too long for a socket.
        """
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise Refused(f"{path}: longer than {LONGEST_PATH} bytes: choose a shorter run folder")
        self.path = path
        self.strays = 0
        self._decoder = msgspec.msgpack.Decoder(takes)
        with contextlib.ExitStack() as undo:
            try:
                # held until close
                self._lock = open(path.with_suffix(".lock"), "w")  # noqa: SIM115
                undo.callback(self._lock.close)
                hold(self._lock, path)
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                undo.callback(self._socket.close)
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM_BYTES)
                path.unlink(missing_ok=True)
                self._socket.bind(os.fspath(path))
                path.chmod(0o660)
            except OSError as error:
                raise Unavailable(
                    f"{path}: no socket can be made here: {error.strerror}: does the folder "
                    "exist, and may this user write to it? (--run)"
                ) from None
            undo.pop_all()

    def send(self, to: Path, message: FromRuntime | FromAgent) -> bool:
        """Whether the datagram was taken. False: nobody is there, or there is no room."""
        return self.offer(to, message) == "taken"

    def offer(self, to: Path, message: FromRuntime | FromAgent) -> Fate:
        """Send, and say what became of the datagram."""
        try:
            self._socket.sendto(msgspec.msgpack.encode(message), socket.MSG_DONTWAIT, os.fspath(to))
        except OSError as error:
            return "no_room" if error.errno in (errno.EAGAIN, errno.ENOBUFS) else "nobody"
        return "taken"

    def receive(self, timeout_s: float = 0.0) -> Incoming | None:
        """The next message; None if none came in time, or if what came was garbage."""
        try:
            if timeout_s > 0:
                select.select([self._socket], [], [], timeout_s)
            datagram = self._socket.recv(MOST_BYTES, socket.MSG_DONTWAIT)
        except OSError:
            return None
        try:
            message: Incoming = self._decoder.decode(datagram)
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            self.strays += 1
            return None
        return message

    def close(self) -> None:
        """Give up the address. May be called twice."""
        if self._socket.fileno() < 0:
            return
        with contextlib.suppress(OSError):
            self.path.unlink()
        self._socket.close()
        self._lock.close()


def agent_mailbox(run_folder: Path) -> Mailbox[FromRuntime]:
    """The agent's end. Raises as Mailbox does."""
    return Mailbox(agent_socket(run_folder), FromRuntime)


def pipeline_mailbox(run_folder: Path, pipeline: str) -> Mailbox[FromAgent]:
    """The end of one runtime process. Raises as Mailbox does."""
    return Mailbox(pipeline_socket(run_folder, pipeline), FromAgent)


def hold(lock: IO[str], path: Path) -> None:
    """Keep an address from other processes while `lock` is open. Raises Unavailable."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Unavailable(
            f"{path}: another process has this address: is it running twice?"
        ) from None
