"""What systemd is told, over a real datagram socket as it would open it."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.by_hand import HandClock
from wire.systemd import Notifier, watchdog_s


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(os.fspath(tmp_path / "notify"))
        ear.setblocking(False)
        yield ear


Make = Callable[..., Notifier]


@pytest.fixture
def make(ear: socket.socket) -> Iterator[Make]:
    made: list[Notifier] = []

    def notifier(clock: HandClock | None = None, **environment: str) -> Notifier:
        named = {"NOTIFY_SOCKET": ear.getsockname(), **environment}
        made.append(Notifier(named, clock or HandClock(), pid=42))
        return made[-1]

    yield notifier
    for each in made:
        each.close()


def heard(ear: socket.socket) -> list[str]:
    """Every datagram so far."""
    got = []
    try:
        while True:
            got.append(ear.recv(65536).decode())
    except BlockingIOError:
        return got


def test_it_says_what_systemd_understands(ear: socket.socket, make: Make) -> None:
    notifier = make()
    notifier.extend_timeout(300)
    notifier.ready("door: 30 results/s")
    notifier.status("all is well")
    notifier.stopping("bye")
    assert heard(ear) == [
        "EXTEND_TIMEOUT_USEC=300000000\n",
        "READY=1\nSTATUS=door: 30 results/s\n",
        "STATUS=all is well\n",
        "STOPPING=1\nSTATUS=bye\n",
    ]


def test_a_status_is_one_line_whatever_is_in_it(ear: socket.socket, make: Make) -> None:
    make().status("camera\nREADY=1\nMAINPID=1\x00\x1b[2J\ud800" + "x" * 9999)
    (said,) = heard(ear)
    assert said.count("\n") == 1 and said.endswith("\n") and len(said) < 500
    assert said.startswith("STATUS=camera READY=1 MAINPID=1 ")


def test_the_watchdog_is_due_three_times_in_its_interval(ear: socket.socket, make: Make) -> None:
    clock = HandClock()
    notifier = make(clock, WATCHDOG_USEC="30000000")
    petted = []
    for _ in range(120):
        clock.sleep(0.5)
        if notifier.due(clock()):
            notifier.watchdog()
            petted.append(clock())
    assert heard(ear) == ["WATCHDOG=1\n"] * len(petted)
    assert len(petted) == 6 and {b - a for a, b in itertools.pairwise(petted)} == {10.0}


def test_nothing_is_due_without_a_watchdog_or_after_the_end(make: Make) -> None:
    assert not make().due(1e12)
    notifier = make(WATCHDOG_USEC="1000000")
    assert notifier.due(1e12)
    notifier.stopping("")
    assert not notifier.due(1e12)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}, 30.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "x"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_for_the_process_that_systemd_means(
    environment: dict[str, str], expected: float | None
) -> None:
    assert watchdog_s(environment, 42) == expected


def test_without_systemd_nothing_is_said_and_nothing_fails(tmp_path: Path) -> None:
    for address in ("", "relative", os.fspath(tmp_path / "nobody")):
        with Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000"}) as notifier:
            notifier.ready("x")
            notifier.watchdog()
            notifier.stopping("x")


def test_an_abstract_address() -> None:
    name = f"vedette-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("\0" + name)
        with Notifier({"NOTIFY_SOCKET": "@" + name}) as notifier:
            notifier.ready("here")
        assert ear.recv(1000) == b"READY=1\nSTATUS=here\n"


def test_a_full_socket_never_blocks_and_ready_is_not_lost(ear: socket.socket, make: Make) -> None:
    clock = HandClock()
    notifier = make(clock, WATCHDOG_USEC="3000000")
    number = 0
    while not notifier._unsaid:
        notifier.status(str(number))
        number += 1
        assert number < 100_000
    notifier.ready("up")
    notifier.watchdog()
    assert notifier.due(clock()), "a pet that was not said stays due"
    assert not any("READY" in each for each in heard(ear))
    notifier.status("later")
    (said,) = heard(ear)
    assert "READY=1\nSTATUS=up\n" in said and said.endswith("STATUS=later\n")


def test_the_environment_is_left_as_it_is(make: Make) -> None:
    environment = {"NOTIFY_SOCKET": "/nowhere", "WATCHDOG_USEC": "1"}
    kept = dict(environment)
    Notifier(environment).close()
    assert environment == kept


def test_closing_twice(make: Make) -> None:
    notifier = make()
    notifier.close()
    notifier.close()
    notifier.ready("nobody hears it")
