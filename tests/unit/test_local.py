"""The local socket: nobody waits, garbage is thrown away, an address has one owner."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wire.histogram import Counts
from wire.local import (
    MOST_BYTES,
    Answer,
    Apply,
    FromAgent,
    FromRuntime,
    Leave,
    Mailbox,
    RunBench,
    TakeSnapshot,
    Totals,
    agent_mailbox,
    agent_socket,
    pipeline_mailbox,
    pipeline_socket,
)
from wire.messages import Losses, PipelineSettings, StageCounts
from wire.troubles import Refused, Unavailable

ROOT = Path(__file__).resolve().parents[2]
NOTHING = Counts(0, 0.0, 0, ())
TOTALS = Totals(
    "door", "r1", 3.0, "serving", None, "digits", "1", "ab", "litert", "synthetic://64x48", 90,
    Losses(), StageCounts(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING), 0, None,
    PipelineSettings(),
)  # fmt: skip


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Mailbox[FromRuntime]]:
    mailbox = agent_mailbox(tmp_path)
    yield mailbox
    mailbox.close()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Mailbox[FromAgent]]:
    mailbox = pipeline_mailbox(tmp_path, "door")
    yield mailbox
    mailbox.close()


@pytest.fixture
def stranger() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as each:
        yield each


@pytest.mark.parametrize(
    "message",
    [TOTALS, Answer("door", "1", True, "done", b"\xff" * 60_000), Answer("door", "1", False, "no")],
)
def test_what_the_runtime_says_arrives(
    agent: Mailbox[FromRuntime], door: Mailbox[FromAgent], message: FromRuntime
) -> None:
    assert door.offer(agent.path, message) == "taken"
    assert agent.receive(5) == message
    assert agent.receive() is None


@pytest.mark.parametrize(
    "message",
    [Apply(PipelineSettings("every", 3)), TakeSnapshot("1", 9), RunBench("2", 50), Leave("3")],
)
def test_what_the_agent_wishes_arrives(
    agent: Mailbox[FromRuntime], door: Mailbox[FromAgent], message: FromAgent
) -> None:
    assert agent.send(door.path, message)
    assert door.receive(5) == message


def test_nobody_is_there(tmp_path: Path, door: Mailbox[FromAgent]) -> None:
    assert door.offer(agent_socket(tmp_path), TOTALS) == "nobody"
    agent_mailbox(tmp_path).close()
    assert door.offer(agent_socket(tmp_path), TOTALS) == "nobody"


def test_a_full_socket_is_told_apart_and_nobody_waits(
    agent: Mailbox[FromRuntime], door: Mailbox[FromAgent]
) -> None:
    fates = [door.offer(agent.path, TOTALS) for _ in range(5000)]
    sent = fates.index("no_room")
    assert set(fates[:sent]) == {"taken"} and set(fates[sent:]) == {"no_room"}
    got = 0
    while agent.receive() is not None:
        got += 1
    assert got == sent
    assert door.offer(agent.path, TOTALS) == "taken", "there is room again"


def test_a_sender_never_waits_for_room(agent: Mailbox[FromRuntime], tmp_path: Path) -> None:
    """The kernel counts who waits. In a process with one thread, so that nobody else makes it."""
    count = (
        "import resource, sys\nfrom pathlib import Path\nfrom wire.local import *\n"
        "door = pipeline_mailbox(Path(sys.argv[1]), 'lane')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw\n"
        "to = agent_socket(Path(sys.argv[1]))\n"
        "fates = [door.offer(to, Leave('x' * 500)) for _ in range(5000)]\n"
        "waits = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before\n"
        "door.close()\nassert 'no_room' in fates\nprint(waits)"
    )
    told = subprocess.run(
        [sys.executable, "-c", count, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert int(told.stdout) < 50


def test_receiving_waits_only_as_long_as_it_is_told(agent: Mailbox[FromRuntime]) -> None:
    begun = time.monotonic()
    assert agent.receive() is None
    assert time.monotonic() - begun < 0.5
    assert agent.receive(0.2) is None
    assert 0.15 < time.monotonic() - begun < 5


def test_an_address_has_one_owner(tmp_path: Path, agent: Mailbox[FromRuntime]) -> None:
    with pytest.raises(Unavailable, match=r"agent\.sock: another process has this address: is it"):
        agent_mailbox(tmp_path)
    with contextlib.closing(pipeline_mailbox(tmp_path, "other")) as other:
        assert other.offer(agent.path, TOTALS) == "taken", "the first still has it"


def test_the_address_of_a_killed_process_is_taken_over(
    tmp_path: Path, door: Mailbox[FromAgent]
) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom wire.local import agent_mailbox\n"
        "m = agent_mailbox(Path(sys.argv[1]))\nprint('here', flush=True)\ntime.sleep(100)\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    try:
        assert owner.stdout is not None and owner.stdout.readline() == b"here\n"
        with pytest.raises(Unavailable, match="is it running twice"):
            agent_mailbox(tmp_path)
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert agent_socket(tmp_path).is_socket(), "it left its file behind"
        assert door.offer(agent_socket(tmp_path), TOTALS) == "nobody"
        heir = agent_mailbox(tmp_path)
        assert door.offer(heir.path, TOTALS) == "taken" and heir.receive(5) == TOTALS
        heir.close()
    finally:
        owner.kill()
        owner.communicate()


def test_closing_gives_the_address_up(tmp_path: Path) -> None:
    first = agent_mailbox(tmp_path)
    first.close()
    first.close()
    assert not agent_socket(tmp_path).exists()
    assert first.receive() is None
    agent_mailbox(tmp_path).close()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no socket can be made here"):
        agent_mailbox(tmp_path / "no")


def test_a_path_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="choose a shorter run folder"):
        pipeline_mailbox(tmp_path / ("x" * 100), "door")


def test_other_users_cannot_write_to_it(agent: Mailbox[FromRuntime]) -> None:
    assert agent.path.stat().st_mode & 0o007 == 0


def encoded(message: object) -> bytes:
    return msgspec.msgpack.encode(message)


def mangled() -> st.SearchStrategy[bytes]:
    """Datagrams that look like ours up to a byte or two."""
    seeds = st.sampled_from([
        encoded(TOTALS), encoded(Answer("door", "1", True, "x", b"y")), encoded(Leave("1")),
        encoded(Apply(PipelineSettings())),
    ])  # fmt: skip

    def mangle(seed: bytes, at: int, byte: int, length: int) -> bytes:
        changed = bytearray(seed)
        changed[at % len(changed)] = byte
        return bytes(changed[: max(1, length % (len(changed) + 1))])

    whole = st.integers(0, 10_000)
    return st.builds(mangle, seeds, whole, st.integers(0, 255), whole)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner,
                                                               max_size=4),
    max_leaves=12,
)  # fmt: skip
wrong = st.builds(
    lambda tag, rest: encoded({"type": tag, **rest}),
    st.sampled_from(["totals", "found", "answer", "apply", "snapshot", "bench", "leave", "x"]),
    st.dictionaries(st.sampled_from(["id", "pipeline", "run", "settings", "result", "ok"]),
                    json_like, max_size=6),
)  # fmt: skip
garbage = st.binary(max_size=300) | mangled() | wrong | json_like.map(encoded)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage)
def test_garbage_is_thrown_away(
    agent: Mailbox[FromRuntime],
    door: Mailbox[FromAgent],
    stranger: socket.socket,
    datagram: bytes,
) -> None:
    for mailbox in (agent, door):
        stranger.sendto(datagram, os.fspath(mailbox.path))
        strays = mailbox.strays
        message = mailbox.receive(5)
        if message is None:
            assert mailbox.strays == strays + 1
        else:
            encoded(message)  # whole: it can be said again


@pytest.mark.parametrize(
    "bomb",
    [
        b"",
        b"\x91" * 60_000,
        b"\x81\xa1a" * 30_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\x81\xa4type\xdb\xff\xff\xff\xff",
        b"\x81\xa4type\xa6\xff\xfe\xfd\xfc\xfb\xfa",
        encoded(TOTALS) + b"x",
        b"\xc1" * MOST_BYTES,
        b"\x00" * (MOST_BYTES + 10_000),
    ],
    ids=range(10),
)
def test_bombs_are_thrown_away(
    agent: Mailbox[FromRuntime], stranger: socket.socket, bomb: bytes
) -> None:
    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    stranger.sendto(bomb, os.fspath(agent.path))
    stranger.sendto(encoded(TOTALS), os.fspath(agent.path))
    assert agent.receive(5) is None
    assert agent.receive(5) == TOTALS
    assert agent.strays == 1


def test_numbers_that_nothing_can_count_are_refused(
    agent: Mailbox[FromRuntime], stranger: socket.socket
) -> None:
    for field, value in [("frames", -1), ("seconds", float("nan")), ("seconds", float("inf")),
                         ("rss_bytes", -1), ("pipeline", "a/b"), ("run", "")]:  # fmt: skip
        wrong = msgspec.to_builtins(TOTALS) | {field: value}
        stranger.sendto(encoded(wrong), os.fspath(agent.path))
        assert agent.receive(5) is None, field
    assert agent.strays == 6


def test_a_newer_peer_may_say_more(agent: Mailbox[FromRuntime], stranger: socket.socket) -> None:
    newer = msgspec.to_builtins(TOTALS) | {"colour": "red"}
    stranger.sendto(encoded(newer), os.fspath(agent.path))
    assert agent.receive(5) == TOTALS


def test_addresses(tmp_path: Path) -> None:
    assert pipeline_socket(tmp_path, "door").name == "pipeline-door.sock"
