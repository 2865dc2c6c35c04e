"""The whole agent on a link in memory: what goes out when what happens."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.inbox import ROOM, Inbox
from tests.rig import Rig, SetClock, config_text, totals
from wire import orders, topics
from wire.config import parse as parse_config
from wire.link import Received
from wire.local import Answer, Apply, Failed, Found, Leave, agent_socket
from wire.memory_link import MemoryBroker
from wire.messages import (
    Event,
    PipelineSettings,
    Presence,
    Reply,
    State,
    Telemetry,
    parse,
    to_json,
)
from wire.mqtt.socket import LARGEST
from wire.results import Result, StageDurations
from wire.signing import make_key

KEY = make_key(Path(tempfile.mkdtemp()) / "key")


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


def config_with_key(extra: str = "") -> str:
    return config_text() + f'[commands]\nkeys = ["{KEY.public}"]\n{extra}'


@pytest.fixture
def rig(tmp_path: Path, broker: MemoryBroker) -> Iterator[Rig]:
    config = parse_config(config_with_key(), "vedette.toml")
    with Rig(tmp_path, broker.link, config) as rig:
        rig.quiet()
        yield rig


def sent(broker: MemoryBroker, topic: str) -> list[bytes]:
    return [payload for name, payload in broker.sent if name == topic]


def records(broker: MemoryBroker) -> list[Telemetry]:
    return [parse(each, Telemetry) for each in sent(broker, topics.telemetry("yard", "door"))]


def events(broker: MemoryBroker) -> list[tuple[str, str, str | None]]:
    found = [parse(each, Event) for each in sent(broker, topics.event("yard", "door"))]
    return [(each.kind, each.subject, each.pipeline) for each in found]


def state(broker: MemoryBroker) -> State:
    return parse(broker.kept(topics.state("yard", "door"))[0].payload, State)


def presence(broker: MemoryBroker) -> Presence:
    return parse(broker.kept(topics.presence("yard", "door"))[0].payload, Presence)


def command(rig: Rig, broker: MemoryBroker, order: orders.Order, number: int = 1) -> Reply | None:
    """Send a signed command; the reply, if one came at once."""
    now = int(rig.clock.wall_s())
    body = orders.Command("yard", "door", f"id{number}", now, now + 60, order)
    before = len(sent(broker, topics.reply("yard", "door")))
    broker.carry(topics.command("yard", "door"), orders.signed(body, KEY), retain=False)
    rig.quiet()
    replies = sent(broker, topics.reply("yard", "door"))[before:]
    return parse(replies[-1], Reply) if replies else None


def test_says_that_it_is_there_and_what_it_is(rig: Rig, broker: MemoryBroker) -> None:
    assert presence(broker).online
    said = state(broker)
    assert (said.board, said.acknowledged_by, said.telemetry_s) == ("test board", "broker", 60.0)
    assert said.config is None
    lane = said.pipelines["lane"]  # never heard: as it is configured
    assert (lane.phase, lane.model, lane.version) == ("silent", "digits", None)


def test_says_goodbye_when_it_ends(tmp_path: Path, broker: MemoryBroker) -> None:
    with Rig(tmp_path, broker.link) as rig:
        rig.quiet()
    assert not presence(broker).online


def test_a_record_every_period_with_what_was_counted_in_it(rig: Rig, broker: MemoryBroker) -> None:
    rig.say(totals(300, 10.0))
    rig.forward(61.0)
    rig.say(totals(2100, 70.0))
    rig.forward(61.0)
    rig.quiet()
    first, second = records(broker)
    assert (first.pipelines["lane"].frames, second.pipelines["lane"].frames) == (300, 1800)
    assert (first.seq, second.seq) == (2, 3), "seq 1 is the event that says the agent started"
    assert first.health.temperatures_c == {"soc": 48.5}
    assert second.time == pytest.approx(rig.clock.wall_s(), abs=3)


def test_watch_makes_records_come_every_10_s(rig: Rig, broker: MemoryBroker) -> None:
    rig.say(totals(300, 10.0))
    reply = command(rig, broker, orders.Watch(minutes=1))
    assert reply is not None
    assert reply.ok
    rig.forward(55.0)
    assert state(broker).telemetry_s == 10.0
    assert len(records(broker)) == 5
    rig.forward(65.0)
    assert state(broker).telemetry_s == 60.0
    assert len(records(broker)) in (6, 7)


def test_a_missing_camera_is_said_once_and_once_when_it_is_back(
    rig: Rig, broker: MemoryBroker
) -> None:
    gone = "/dev/video0 is not there"
    for second in range(5):
        rig.say(totals(0, second * 10.0, phase="no_camera", absent=gone))
        rig.forward(10.0)
    assert state(broker).faults == (f"lane: camera: {gone}",)
    rig.say(totals(30, 60.0))
    rig.forward(12.0)
    rig.quiet()
    assert events(broker)[1:] == [("fault", "camera", "lane"), ("recovered", "camera", "lane")]
    assert state(broker).faults == ()


def test_a_runtime_that_falls_silent_is_a_fault(rig: Rig, broker: MemoryBroker) -> None:
    rig.say(totals(30, 1.0))
    rig.runtime_lives = False
    rig.forward(120.0)
    rig.quiet()
    assert state(broker).pipelines["lane"].phase == "silent"
    assert ("fault", "pipeline", "lane") in events(broker)
    rig.runtime_lives = True
    rig.say(totals(60, 120.0, run="run2"))
    rig.forward(12.0)
    rig.quiet()
    assert ("recovered", "pipeline", "lane") in events(broker)
    assert state(broker).pipelines["lane"].restarts == 1


def test_why_a_runtime_cannot_start_is_a_fault_at_once(rig: Rig, broker: MemoryBroker) -> None:
    why = "/models/gone.tflite is not there"
    for _ in range(3):  # systemd starts it again and again
        rig.runtime.send(agent_socket(rig.folders.run), Failed("lane", why))
        rig.quiet(0.05)
        rig.forward(5.0)
    assert state(broker).faults == (f"lane: pipeline: its process cannot start: {why}",)
    rig.say(totals(30, 1.0))
    rig.forward(12.0)
    rig.quiet()
    assert events(broker)[1:] == [("fault", "pipeline", "lane"), ("recovered", "pipeline", "lane")]


@pytest.mark.parametrize(("said", "subject"), [("unloaded", "model"), ("degraded", "accelerator")])
def test_what_a_runtime_goes_on_without_is_a_fault(
    rig: Rig, broker: MemoryBroker, said: str, subject: str
) -> None:
    rig.say(totals(30, 1.0))
    rig.say(totals(60, 2.0, **{said: "it runs on without"}))
    rig.forward(12.0)
    assert state(broker).faults == (f"lane: {subject}: it runs on without",)
    rig.say(totals(90, 3.0))
    rig.forward(2.0)
    assert state(broker).faults == ()


def test_the_state_of_the_largest_device_fits_every_broker(
    tmp_path: Path, broker: MemoryBroker
) -> None:
    camera = "file:///" + "x" * 900
    text = config_text().split("[pipeline.lane]")[0] + "".join(
        f'[pipeline.{n:064}]\ncamera = "{camera}"\nmodel = "digits"\n' for n in range(64)
    )
    with Rig(tmp_path, broker.link, parse_config(text, "vedette.toml")) as rig:
        rig.quiet()
        for n in range(64):
            rig.inbox.post(totals(1, 1.0, pipeline=f"{n:064}", camera=camera, absent="y" * 900))
        rig.quiet()
        rig.forward(20.0)
        said = state(broker)
        assert len(said.pipelines) == 64
        assert said.faults[-1] == "and 32 more"
        assert len(broker.kept(topics.state("yard", "door"))[0].payload) < 64_000


def test_the_longest_watch_counts(rig: Rig, broker: MemoryBroker) -> None:
    command(rig, broker, orders.Watch(minutes=10), number=1)
    command(rig, broker, orders.Watch(minutes=1), number=2)
    rig.forward(120.0)
    assert state(broker).telemetry_s == 10.0


def test_beyond_a_limit_is_a_fault(tmp_path: Path, broker: MemoryBroker) -> None:
    text = config_text() + "[pipeline.lane.limits]\np95_ms = 3\n"
    with Rig(tmp_path, broker.link, parse_config(text, "vedette.toml")) as rig:
        rig.say(totals(300, 10.0))  # 4 ms a frame
        rig.forward(62.0)
        rig.quiet()
        assert ("fault", "latency", "lane") in events(broker)
        assert "95 % of the frames took up to 4.0 ms, 3 ms is the limit" in state(broker).faults[0]
        rig.forward(62.0)  # without a frame
        rig.quiet()
        assert ("recovered", "latency", "lane") not in events(broker)


def test_low_voltage_is_a_fault_and_explains_the_window(rig: Rig, broker: MemoryBroker) -> None:
    rig.board.throttle("under_voltage")
    rig.say(totals(300, 10.0))
    rig.forward(15.0)
    rig.board.throttle()
    rig.forward(50.0)
    rig.quiet()
    assert records(broker)[0].pipelines["lane"].throttled == ("under_voltage",)
    assert events(broker)[1:] == [("fault", "power", None), ("recovered", "power", None)]


@pytest.mark.parametrize("years", [-30, 30])
def test_a_clock_that_jumps_by_years_changes_no_count(
    rig: Rig, broker: MemoryBroker, years: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    updater = rig.agent._updater
    monkeypatch.setattr(updater, "clock_was_set", lambda: told.append(rig.clock.wall_s()))
    rig.say(totals(300, 10.0))
    rig.forward(30.0)
    rig.clock.wall_ahead_s += years * 365 * 86400.0
    rig.forward(31.0)
    rig.say(totals(2100, 70.0))
    rig.forward(61.0)
    rig.quiet()
    windows = [record.pipelines["lane"] for record in records(broker)]
    assert [window.frames for window in windows] == [300, 1800]
    assert [record.window_s for record in records(broker)] == pytest.approx([60, 60], abs=2)
    assert ("note", "clock", None) in events(broker)
    assert len(told) == 1, "what had expired may not have"
    assert rig.keeping.lost == 0


def test_a_disk_that_stalls_is_no_clock_that_jumps(
    rig: Rig, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stall() -> None:
        rig.clock.up_s += 100.0

    monkeypatch.setattr(rig.keeping, "tick", stall)
    rig.forward(2.0)
    assert not [each for each in events(broker) if each[1] == "clock"]


def test_results_pass_through(rig: Rig, broker: MemoryBroker) -> None:
    durations = StageDurations(1, 2, 3, 4, 10)
    result = Result("lane", "digits", "1", "a" * 64, 7, 1.5, durations, ())
    rig.runtime.send(agent_socket(rig.folders.run), Found(result))
    rig.quiet(0.1)
    assert [parse(p, Result) for p in sent(broker, topics.result("yard", "door", "lane"))] == [
        result
    ]


def test_a_pipeline_that_is_not_configured_is_not_heard(rig: Rig, broker: MemoryBroker) -> None:
    rig.runtime.send(agent_socket(rig.folders.run), totals(30, 1.0, pipeline="stranger"))
    rig.say(totals(30, 1.0))
    rig.forward(61.0)
    assert list(records(broker)[0].pipelines) == ["lane"]


def test_settings_are_told_to_a_runtime_that_does_not_use_them(
    rig: Rig, broker: MemoryBroker
) -> None:
    rig.say(totals(30, 1.0))
    reply = command(rig, broker, orders.Set(results="every", results_per_s=5))
    assert reply is not None
    assert reply.ok, reply.text
    wanted = PipelineSettings("every", 5)
    assert rig.runtime.receive(1.0) == Apply(wanted, "info")
    rig.say(totals(60, 2.0, run="run2"))  # a new process knows nothing of it
    assert rig.runtime.receive(1.0) == Apply(wanted, "info")
    rig.say(totals(60, 3.0, run="run2", settings=wanted))
    assert rig.runtime.receive(0.05) is None
    rig.forward(2.0)
    assert state(broker).pipelines["lane"].settings == wanted


def test_a_log_level_reaches_runtimes_those_that_come_later_too(
    rig: Rig, broker: MemoryBroker
) -> None:
    rig.say(totals(30, 1.0))
    command(rig, broker, orders.Set(log_level="debug"))
    assert rig.runtime.receive(1.0) == Apply(PipelineSettings(), "debug")
    rig.say(totals(60, 2.0))
    assert rig.runtime.receive(0.05) is None
    rig.say(totals(60, 2.0, run="run2"))
    assert rig.runtime.receive(1.0) == Apply(PipelineSettings(), "debug")


def test_a_restart_is_answered_when_the_runtime_has_agreed(rig: Rig, broker: MemoryBroker) -> None:
    rig.say(totals(30, 1.0))
    assert command(rig, broker, orders.Restart()) is None
    assert rig.runtime.receive(1.0) == Leave("id1")
    rig.runtime.send(agent_socket(rig.folders.run), Answer("lane", "id1", True, "leaving"))
    rig.quiet(0.1)
    assert parse(sent(broker, topics.reply("yard", "door"))[-1], Reply).ok


def test_a_runtime_that_does_not_answer_is_reported(rig: Rig, broker: MemoryBroker) -> None:
    rig.say(totals(30, 1.0))
    assert command(rig, broker, orders.Restart()) is None
    rig.forward(15.0)
    reply = parse(sent(broker, topics.reply("yard", "door"))[-1], Reply)
    assert not reply.ok
    assert "did not answer" in reply.text


def test_an_old_will_that_lies_is_corrected(rig: Rig, broker: MemoryBroker) -> None:
    old = Presence(False, "boot0", "old-session", rig.keeping.identity)
    broker.carry(topics.presence("yard", "door"), to_json(old), retain=True)
    rig.quiet()
    rig.forward(2.0)
    rig.quiet()
    assert presence(broker).online


def test_a_second_device_of_the_same_name_is_a_fault(rig: Rig, broker: MemoryBroker) -> None:
    other = Presence(True, "boot9", "session9", "another-spool")
    broker.carry(topics.presence("yard", "door"), to_json(other), retain=True)
    rig.quiet()
    rig.forward(2.0)
    rig.quiet()
    assert ("fault", "name", None) in events(broker)
    assert "another device connects as 'door'" in state(broker).faults[0]


def test_what_could_not_be_sent_is_sent_after_the_outage(rig: Rig, broker: MemoryBroker) -> None:
    rig.say(totals(300, 10.0))
    rig.forward(61.0)
    broker.stop()
    rig.quiet()
    for minute in range(2, 6):
        rig.say(totals(1800 * minute, 60.0 * minute))
        rig.forward(61.0)
    assert rig.keeping.waiting == 4
    rig.agent._link.open()
    rig.quiet()
    rig.forward(5.0)
    rig.quiet()
    assert sum(r.pipelines["lane"].frames for r in records(broker)) == 1800 * 5
    assert rig.keeping.waiting == 0


def test_a_restarted_agent_goes_on_where_it_was(tmp_path: Path, broker: MemoryBroker) -> None:
    with Rig(tmp_path, broker.link) as rig:
        rig.say(totals(300, 10.0))
        clock = rig.clock
    with Rig(tmp_path, broker.link, clock=clock) as rig:
        rig.say(totals(400, 13.0))
        rig.forward(61.0)
        rig.quiet()
    frames = [r.pipelines["lane"].frames for r in records(broker) if r.pipelines]
    assert sum(frames) == 400
    assert rig.keeping.waiting == 0


def test_a_pipeline_that_is_no_longer_configured_has_one_last_window(
    tmp_path: Path, broker: MemoryBroker
) -> None:
    with Rig(tmp_path, broker.link) as rig:
        rig.say(totals(300, 10.0))
        rig.forward(61.0)
        clock = rig.clock
    other = parse_config(config_text().replace("lane", "gate"), "vedette.toml")
    with Rig(tmp_path, broker.link, other, clock) as rig:
        rig.forward(130.0)
        rig.quiet()
    last, *later = records(broker)[2:]
    assert last.pipelines["lane"].phase == "silent"
    assert later
    assert not any(record.pipelines for record in later)


def test_a_restarted_agent_does_not_say_that_a_dead_runtime_has_recovered(
    tmp_path: Path, broker: MemoryBroker
) -> None:
    with Rig(tmp_path, broker.link) as rig:
        rig.runtime_lives = False
        rig.forward(130.0)
        rig.quiet()
        clock = rig.clock
    with Rig(tmp_path, broker.link, clock=clock) as rig:
        rig.runtime_lives = False
        rig.forward(130.0)
        rig.quiet()
        assert [kind for kind, subject, _ in events(broker) if subject == "pipeline"] == ["fault"]
        rig.say(totals(30, 1.0))
        rig.forward(2.0)
        rig.quiet()
    kinds = [kind for kind, subject, _ in events(broker) if subject == "pipeline"]
    assert kinds == ["fault", "recovered"]


def test_a_clean_reboot_costs_nothing(tmp_path: Path, broker: MemoryBroker) -> None:
    """The runtime stops first and says its last totals, then the agent; /run is empty after it."""
    with Rig(tmp_path, broker.link, run=tmp_path / "run1") as rig:
        rig.say(totals(300, 10.0))
        rig.say(totals(417, 14.0, phase="ended"))
    clock = SetClock(up_s=20.0, wall_ahead_s=rig.clock.wall_s())
    with Rig(tmp_path, broker.link, clock=clock, boot="boot2", run=tmp_path / "run2") as rig:
        rig.say(totals(90, 3.0, run="run2"))
        rig.forward(61.0)
        rig.quiet()
    assert sum(r.pipelines["lane"].frames for r in records(broker) if r.pipelines) == 417 + 90
    assert [r.boot for r in records(broker)] == ["boot1", "boot2", "boot2"]


GARBAGE = st.one_of(
    st.binary(max_size=300),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=8,
    ).map(lambda value: msgspec.json.encode(value)),
    st.sampled_from(["spool", "seq", "online", "session", "boot", "body", "key", "signature"])
    .flatmap(lambda key: st.tuples(st.just(key), st.integers() | st.text(max_size=9)))
    .map(lambda pair: msgspec.json.encode(dict([pair]))),
    st.just(b"[" * 100_000),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(payloads=st.lists(GARBAGE, max_size=4), local=st.lists(st.binary(max_size=400), max_size=4))
def test_garbage_changes_nothing(
    rig: Rig, broker: MemoryBroker, payloads: list[bytes], local: list[bytes]
) -> None:
    waiting = rig.keeping.waiting
    for make in (topics.command, topics.ack, topics.presence):
        for payload in payloads:
            rig.inbox.post(Received(make("yard", "door"), payload, retained=False))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        stranger.setblocking(False)
        for datagram in local:
            with contextlib.suppress(BlockingIOError):
                stranger.sendto(datagram, str(agent_socket(rig.folders.run)))
    rig.quiet(0.001)
    rig.forward(2.0)
    rig.quiet(0.001)
    assert presence(broker).online
    assert rig.keeping.waiting == waiting


def test_no_broker_fills_the_memory_of_an_agent_that_stalls() -> None:
    inbox = Inbox()
    for _ in range(3 * ROOM):
        inbox.post(Received("a", b"[" * LARGEST, retained=False))
    waiting = iter(lambda: inbox.take(0.0), None)
    assert sum(len(one.payload) for one in waiting if isinstance(one, Received)) < 40 * 2**20


def test_who_does_not_want_to_wait_does_not() -> None:
    """On Python 3.10 a timeout of 0 waits for ever, now and then."""
    inbox = Inbox()
    for _ in range(200_000):
        inbox.wake()
        assert inbox.take(0.0) is None
        assert inbox.take(0.0) is None


def test_a_flood_of_garbage_does_not_stop_the_agent(rig: Rig, broker: MemoryBroker) -> None:
    for _ in range(5_000):
        rig.inbox.post(Received(topics.command("yard", "door"), b"{}", retained=False))
    began_s = time.monotonic()
    rig.quiet()
    assert time.monotonic() - began_s < 10
    assert rig.inbox.dropped > 2_000
    rig.say(totals(300, 10.0))
    rig.forward(61.0)
    assert len(records(broker)) == 1
