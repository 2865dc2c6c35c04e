"""A thread that hangs is noticed, and one that only waits, or slept with the device, is not."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.commands import agent as service
from agent.fetch.fetching import Fetching
from agent.inbox import Inbox, LocalReader
from agent.update import updating
from tests.depot_folder import make_yard
from tests.device import until
from tests.rig import Rig, config_text
from wire.accepted import InForce
from wire.config import parse
from wire.folders import Folders
from wire.link import Will
from wire.local import agent_mailbox
from wire.memory_link import MemoryBroker
from wire.pulse import Watch
from wire.troubles import Unavailable


class Bench:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.watch = Watch(lambda: self.now_s)
        self.pulse = self.watch.pulse("fetch", 60.0)

    def looks(self, seconds: float, step_s: float = 1.0) -> list[str]:
        """What is said while time passes."""
        said = []
        for _ in range(int(seconds / step_s)):
            self.now_s += step_s
            said.append(self.watch.look())
        return [one for one in said if one is not None]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_one_that_gets_on_is_well(bench: Bench) -> None:
    for _ in range(10):
        bench.pulse.beat()
        assert bench.looks(59) == []


def test_one_that_does_not_hangs(bench: Bench) -> None:
    bench.pulse.beat()
    assert bench.looks(60) == []
    assert bench.looks(2)[0] == "thread 'fetch' hangs: it has not got on for 61 s"


def test_one_that_waits_for_work_is_well(bench: Bench) -> None:
    assert bench.looks(1000) == [], "it has not begun"
    bench.pulse.beat()
    bench.pulse.rest()
    assert bench.looks(1000) == []
    bench.pulse.beat()
    assert bench.looks(100)


def test_a_device_that_slept_has_not_waited(bench: Bench) -> None:
    bench.pulse.beat()
    bench.looks(2)
    assert bench.looks(3600, step_s=3600) == []
    assert bench.looks(50) == []


def test_a_reader_of_the_local_socket_beats(tmp_path: Path) -> None:
    watch = Watch()
    pulse = watch.pulse("local", 600.0)
    mailbox = agent_mailbox(tmp_path)
    reader = LocalReader(mailbox, Inbox(), pulse)
    until(lambda: pulse.beats >= 3, 20)
    reader.close()
    mailbox.close()
    assert not pulse.is_resting


def test_an_agent_whose_fetch_thread_hangs_says_so_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever started it starts it anew."""
    monkeypatch.setattr(updating, "HUNG_S", 0.0)
    goes_on, close = threading.Event(), Fetching.close

    def hang(_: Fetching) -> None:
        goes_on.wait(60)
        raise Unavailable("it goes on")

    def let_go(fetching: Fetching) -> None:
        goes_on.set()
        close(fetching)

    monkeypatch.setattr(Fetching, "_opened", hang)
    monkeypatch.setattr(Fetching, "close", let_go)
    yard = make_yard(tmp_path / "fleet")
    text = f'{config_text()}[updates]\nroot = "{yard.place}/root.json"\n'
    with Rig(tmp_path / "device", MemoryBroker().link, parse(text, "vedette.toml")) as rig:
        with pytest.raises(RuntimeError, match="thread 'fetch' hangs"):
            for _ in range(1000):
                rig.forward(2.0)
        (spool,) = rig.keeping.ids()
        said = [bytes(record.body) for record in rig.keeping.after(spool, 0, 100)]
        assert any(b"'fetch' hangs" in body for body in said)


def test_every_thread_of_the_service_is_watched(tmp_path: Path) -> None:
    text = config_text(port=1)
    (tmp_path / "vedette.toml").write_text(text)
    for name in ("state", "run"):
        (tmp_path / name).mkdir()
    folders = Folders(tmp_path / "vedette.toml", tmp_path / "state", tmp_path / "run")
    with ExitStack() as stack:
        parts = service._open_parts(folders, InForce(parse(text, "x"), None, text), stack)
        link = parts.make_link("door", lambda _: None, lambda _: Will("t", b""))
        (pulse,) = parts.watch._seen
        assert (pulse.name, pulse.beats) == ("mqtt", 0)
        link.open()
        until(lambda: pulse.beats >= 1, 20)
        link.close()
