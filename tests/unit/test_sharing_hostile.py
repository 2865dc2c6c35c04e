"""Peers on the socket of a shared camera that break the rules: they are sent away, nobody else."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import subprocess
import sys
import threading
from array import array
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from runtime.cameras import Camera, open_camera
from runtime.sharing.listening import Listening
from runtime.sharing.memory import Imported, Mapped, shared_memory
from runtime.sharing.packets import (
    MOST_BYTES,
    VERSION,
    Counts,
    Hello,
    Home,
    Lie,
    Over,
    Picture,
    Want,
    Welcome,
    encoded,
    from_owner,
    socket_path,
)
from tests.sharing import READERS, lending
from tests.unit.test_sharing import LIVE, frame_of, has_frame, until
from wire.troubles import Refused, Unavailable

GREY = Lie("GREY", 64, 48, 64, None)
WELCOME = encoded(Welcome(GREY, Counts(), None))


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Camera]:
    with (
        lending(LIVE, tmp_path),
        open_camera(f"pipeline://door?run={tmp_path}") as door,
    ):
        yield door


@contextmanager
def knocking(run_folder: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as raw:
        raw.settimeout(10)
        raw.connect(os.fspath(socket_path(run_folder, "door")))
        yield raw


def is_sent_away(raw: socket.socket) -> bool:
    """Whether the other end closes, whatever it says before."""
    with contextlib.suppress(ConnectionError):
        while raw.recv(MOST_BYTES):
            pass
    return True


def drain(raw: socket.socket) -> None:
    """Read what is there, without waiting."""
    while select.select([raw], [], [], 0)[0] and raw.recv(MOST_BYTES):
        pass


HELLO, WANT = encoded(Hello(VERSION)), encoded(Want(None))
CRIMES = {
    "nothing": [b"\0"],
    "noise": [os.urandom(512)],
    "too much": [b"\x93" * 100_000],
    "deep": [b"\x91" * 5000],
    "not an owner": [HELLO, encoded(Welcome(None, Counts(), None))],
    "no hello": [WANT],
    "twice hello": [HELLO, HELLO],
    "another version": [encoded(Hello(VERSION + 1))],
    "a home that it has not": [HELLO, encoded(Home((3,)))],
    "homes that it has not": [HELLO, encoded(Want(None, homes=(1, 2)))],
    "no sides": [HELLO, encoded(Want((0, 5, True)))],
}


@pytest.mark.parametrize("crime", CRIMES)
def test_who_breaks_the_rules_is_sent_away_and_nobody_else(
    door: Camera, tmp_path: Path, crime: str
) -> None:
    frame_of(door).release()
    with knocking(tmp_path) as raw:
        with contextlib.suppress(ConnectionError):
            for packet in CRIMES[crime]:
                raw.send(packet)
                if packet is HELLO and crime != "twice hello":
                    raw.recv(MOST_BYTES)  # the welcome
                drain(raw)
        assert is_sent_away(raw)
    for _ in range(20):
        frame_of(door).release()


def test_who_floods_is_sent_away_and_nobody_else(
    door: Camera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.sharing.reader.MOST_PER_S", 200)  # what any machine can
    ask = encoded(Want(None, now=True))
    with knocking(tmp_path) as raw:
        raw.send(HELLO)
        raw.recv(MOST_BYTES)
        with pytest.raises(ConnectionError):
            for _ in range(20_000):
                raw.send(ask)
                drain(raw)
    for _ in range(20):
        frame_of(door).release()


def test_who_says_nothing_makes_room_for_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.sharing.listening.LOOK_S", 0.1)
    monkeypatch.setattr("runtime.sharing.reader.SILENT_S", 0.5)
    with lending(LIVE, tmp_path), ExitStack() as stack:
        dumb = [stack.enter_context(knocking(tmp_path)) for _ in range(READERS)]
        assert all(map(is_sent_away, dumb))
        for _ in range(READERS):
            door = stack.enter_context(open_camera(f"pipeline://door?run={tmp_path}"))
            frame_of(door).release()


def test_a_reader_that_does_not_read_costs_one_buffer_and_nobody_a_frame(
    door: Camera, tmp_path: Path
) -> None:
    """As one that was stopped (SIGSTOP): it wanted a frame, and never takes it."""
    with knocking(tmp_path) as raw:
        raw.send(HELLO)
        raw.recv(MOST_BYTES)
        raw.send(WANT)
        for _ in range(40):  # far more than there are buffers
            with frame_of(door) as frame:
                newest = frame.seq
        first = from_owner(raw.recv(MOST_BYTES))
        assert isinstance(first, Picture) and first.seq < newest
        raw.settimeout(0.2)
        with pytest.raises(TimeoutError):
            raw.recv(MOST_BYTES)


def test_descriptors_that_a_reader_sends_are_not_kept(door: Camera, tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with knocking(tmp_path) as raw, open("/dev/null", "rb") as file:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [file.fileno()] * 50))]
        raw.sendmsg([HELLO], rights)
        raw.recv(MOST_BYTES)
        raw.sendmsg([WANT], rights)
        raw.recv(MOST_BYTES)
        assert len(os.listdir("/proc/self/fd")) < before + 10


def test_an_owner_without_descriptors_waits_until_there_are_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.sharing.listening.LOOK_S", 0.3)
    welcome, looks = Listening._welcome, []

    def counted(listening: Listening, ours: socket.socket) -> None:
        looks.append(ours)
        welcome(listening, ours)

    monkeypatch.setattr(Listening, "_welcome", counted)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    with lending(LIVE, tmp_path), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as raw:
        raw.settimeout(10)
        most = max(map(int, os.listdir("/proc/self/fd")))
        fillers = [os.dup(raw.fileno()) for _ in range(most)]  # no gaps below the limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(fillers) + 1, before[1]))
        try:
            raw.connect(os.fspath(socket_path(tmp_path, "door")))
            raw.send(HELLO)
            with pytest.raises(TimeoutError):
                raw.settimeout(0.5)
                raw.recv(MOST_BYTES)
            assert 1 <= len(looks) < 10, "it looks again and again"
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            for descriptor in fillers:
                os.close(descriptor)
        raw.settimeout(10)
        assert isinstance(from_owner(raw.recv(MOST_BYTES)), Welcome)


@contextmanager
def lying(
    run_folder: Path, say: Callable[[socket.socket], None], first: bytes = WELCOME
) -> Iterator[None]:
    """An owner that says `first` to everybody and answers the first wish by `say`."""
    done = threading.Event()

    def serve(listening: socket.socket) -> None:
        while not done.is_set():
            with contextlib.suppress(OSError):
                ours, _ = listening.accept()
                with ours:
                    ours.settimeout(5)
                    ours.recv(MOST_BYTES)
                    ours.send(first)
                    ours.recv(MOST_BYTES)
                    say(ours)
                    ours.recv(MOST_BYTES)

    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.settimeout(0.1)
        listening.bind(os.fspath(socket_path(run_folder, "door")))
        listening.listen()
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def picture(size: int = 4096, lie: Lie = GREY, buffer: int = 0) -> bytes:
    return encoded(Picture(buffer, size, 1, 1, lie, Counts(1)))


def sent(*descriptors: int) -> list[tuple[int, int, array[int]]]:
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))]


def memory_file(size: int) -> int:
    """One that can shrink."""
    descriptor = os.memfd_create("unsealed")
    os.ftruncate(descriptor, size)
    return descriptor


LIES = {
    "noise": lambda to: to.send(os.urandom(300)),
    "no memory": lambda to: to.send(picture()),
    "memory that may shrink": lambda to: to.sendmsg([picture()], sent(memory_file(4096))),
    "a device": lambda to: to.sendmsg([picture()], sent(os.open("/dev/zero", os.O_RDWR))),
    "a socket": lambda to: to.sendmsg([picture()], sent(to.fileno())),
    "too small": lambda to: to.sendmsg([picture(8192)], sent(kept(4096))),
    "no size": lambda to: to.sendmsg([picture(0)], sent(kept(4096))),
    "beyond its memory": lambda to: to.sendmsg(
        [picture(4096, Lie("RGB3", 640, 480, 1920, None))], sent(kept(4096))
    ),
    "rows that overlap": lambda to: to.sendmsg(
        [picture(4096, Lie("RGB3", 64, 48, 10, None))], sent(kept(4096))
    ),
    "odd": lambda to: to.sendmsg([picture(4096, Lie("YUYV", 31, 4, 64, None))], sent(kept(4096))),
    "counts that shrink": lambda to: to.sendmsg(
        [encoded(Picture(0, 4096, 1, 1, GREY, Counts()))], sent(kept(4096))
    ),
    "two descriptors": lambda to: to.sendmsg([picture()], sent(kept(4096), kept(4096))),
    "a word of readers": lambda to: to.send(WANT),
    "too long": lambda to: to.send(b"\xc0" * (MOST_BYTES + 1)),
}
KEPT: list[Mapped] = []


def kept(size: int) -> int:
    KEPT.append(shared_memory(size))
    assert KEPT[-1].descriptor is not None
    return KEPT[-1].descriptor


def is_empty(door: Camera) -> bool:
    frame = door.read(0.2)
    assert frame is None, "it was believed"
    return True


@pytest.mark.parametrize("lie", LIES)
def test_an_owner_that_lies_is_left(tmp_path: Path, lie: str) -> None:
    with lying(tmp_path, LIES[lie]), open_camera(f"pipeline://door?run={tmp_path}") as door:
        until(lambda: is_empty(door) and door.absent is not None)
        assert door.absent is not None and "waiting for it to come back" in door.absent


def test_an_owner_whose_buffers_never_end_is_left(tmp_path: Path) -> None:
    descriptor = kept(4096)

    def say(to: socket.socket) -> None:
        for number in range(300):
            packet = Picture(number, 4096, number, 1, GREY, Counts(number + 1))
            to.sendmsg([encoded(packet)], sent(descriptor))

    with lying(tmp_path, say), open_camera(f"pipeline://door?run={tmp_path}") as door:
        until(lambda: not has_frame(door) and door.absent is not None)
        assert "more than 256 buffers" in (door.absent or "")


def test_a_recording_that_is_over_at_once_is_unavailable(tmp_path: Path) -> None:
    over = encoded(Over("the recording has ended", ended=True))
    with (
        lying(tmp_path, lambda to: None, over),
        pytest.raises(Unavailable, match="the recording has ended"),
        open_camera(f"pipeline://door?run={tmp_path}"),
    ):
        pass


FORGED = """
import array, os, socket, subprocess, sys
folder, to = sys.argv[1], socket.socket(fileno=int(sys.argv[2]))
subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=True)
file = os.open(folder + "/dmabuf:x", os.O_RDWR | os.O_CREAT)
os.ftruncate(file, 4096)
subprocess.run(["umount", "-l", folder], check=True)
to.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))])
"""


def test_a_file_with_the_name_of_a_dma_buf_is_none(tmp_path: Path) -> None:
    """It could shrink under its reader."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = subprocess.run(
            ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", FORGED,
             str(tmp_path), str(theirs.fileno())],
            pass_fds=[theirs.fileno()], capture_output=True, timeout=60,
        )  # fmt: skip
        if child.returncode:
            pytest.skip(f"no namespaces here: {child.stderr.decode()[-200:]}")
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    assert os.readlink(f"/proc/self/fd/{descriptors[0]}") == "/dmabuf:x"
    with pytest.raises(Refused, match="may shrink"):
        Imported(descriptors[0], 4096)


def test_an_owner_that_tells_the_truth_is_believed(tmp_path: Path) -> None:
    """Else the test above could not fail."""

    def say(to: socket.socket) -> None:
        to.sendmsg([picture()], sent(kept(4096)))

    with lying(tmp_path, say), open_camera(f"pipeline://door?run={tmp_path}") as door:
        frame_of(door).release()


def test_memory_that_is_shared_cannot_shrink_and_is_not_written_by_others() -> None:
    memory = shared_memory(5000)
    assert memory.descriptor is not None
    with pytest.raises(PermissionError):
        os.ftruncate(memory.descriptor, 100)
    with pytest.raises(PermissionError):
        Mapped(memory.descriptor, 5000)  # for writing
    seen = Imported(os.dup(memory.descriptor), 5000)
    memory[4999] = 42
    assert seen.memory[4999] == 42
    with pytest.raises(Refused, match="smaller"):
        Imported(os.dup(memory.descriptor), 5001)
    open_before = len(os.listdir("/proc/self/fd"))
    del memory, seen
    assert len(os.listdir("/proc/self/fd")) < open_before
