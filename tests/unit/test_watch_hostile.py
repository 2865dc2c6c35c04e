"""Whatever strangers publish, a watcher goes on, shows one safe line, and stays small."""

from __future__ import annotations

import io
import json
import re
import time
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from fleet import devices as devices_module
from fleet.concerns import FAULT, Concern, Ranking, concerns
from fleet.devices import KINDS, MOST_RECORDS, MOST_RESULTS, MOST_SPOOLS, Device, Fleet
from fleet.heading import head_lines
from fleet.lines import news_line
from fleet.portrait import portrait
from fleet.screens import JsonLines, Standing
from fleet.table import overview
from fleet.wording import clock_time, count, duration, number, printable, size, stretch
from tests.telling import FLEET, NOW_S, event, presence, record, result, said, state, window
from wire.link import Received
from wire.messages import LARGEST, Reply, to_json
from wire.results import Thing

DEVICE_TOPICS = [f"vedette/{FLEET}/device/a/{kind}" for kind in KINDS if kind != "result"]
TOPICS = [*DEVICE_TOPICS, f"vedette/{FLEET}/device/a/result/door"]
MESSAGES = (presence(True), state(), record(5), event(6), result())
NASTY = "\x1b[2J\x9b31m\r\n\u202e[bold]{x}" + "\ud7ff犬" + "a" * 5000
HUGE = (1e308, -1e308, 10**30, 2**63, -1, 0, 5e-324)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just(NASTY),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def everything_shown(known: Fleet, now_s: float = NOW_S) -> str:
    """All that a terminal could show of it."""
    ranked = Ranking().worst_first(known, now_s)
    head = head_lines(known, Standing("mqtt://localhost", NASTY))
    texts = [line.text for line in head]
    for device in known.devices.values():
        texts += [line.text for line in portrait(device, known.events, now_s)]
        texts += [concern.words for concern in concerns(device, now_s)]
    for width in (20, 200):
        file = io.StringIO()
        console = Console(file=file, width=width, height=40, color_system=None)
        console.print(overview(known, ranked, head, 0, width, 40, now_s)[0])
        texts += file.getvalue().split("\n")
    assert all(text.isprintable() for text in texts)
    return "\n".join(texts)


def test_devices_that_come_and_go_are_forgotten() -> None:
    known, ranking = Fleet(FLEET), Ranking()
    tracemalloc.start()
    try:
        for number in range(3000):
            known.hear(said(f"d{number}", state(), retained=True), NOW_S)
            known.hear(said(f"d{number}", presence(True), retained=True), NOW_S)
            ranking.worst_first(known, NOW_S)
            known.hear(Received(f"vedette/{FLEET}/device/d{number}/presence", b"", False), NOW_S)
            if number == 100:
                before = tracemalloc.get_traced_memory()[0]
        assert tracemalloc.get_traced_memory()[0] - before < 1_000_000
    finally:
        tracemalloc.stop()


def hear_and_show(messages: list[Received], now_s: float = NOW_S) -> Fleet:
    known, file = Fleet(FLEET), io.StringIO()
    screen = JsonLines(file)
    for message in messages:
        news = known.hear(message, now_s)
        if news is not None:
            assert news_line(news, now_s).isprintable()
            screen.tell(news, now_s)
    for line in file.getvalue().splitlines():
        assert line.isascii() and line.isprintable()
        assert set(json.loads(line)) == {"device", "kind", "received", "retained", "message"}
    everything_shown(known, now_s)
    return known


@given(
    st.lists(st.tuples(st.sampled_from(TOPICS) | st.text(), st.binary() | st.just(b"")), max_size=5)
)
def test_garbage(messages: list[tuple[str, bytes]]) -> None:
    hear_and_show([Received(topic, payload, False) for topic, payload in messages])


@given(st.lists(st.tuples(st.sampled_from(TOPICS), JSON), max_size=5))
def test_any_json(messages: list[tuple[str, Any]]) -> None:
    hear_and_show([Received(t, json.dumps(value).encode(), True) for t, value in messages])


@given(st.sampled_from(MESSAGES), st.randoms(use_true_random=False), JSON | st.sampled_from(HUGE))
@example(record(5), __import__("random").Random(3), 1e308)
def test_messages_that_are_nearly_right(message: Any, chance: Any, value: Any) -> None:
    """One value somewhere in a real message is another one; then the real one comes, too."""
    content = msgspec.to_builtins(message)
    spoil(content, chance, value)
    topic = said("a", message).topic
    bad = Received(topic, json.dumps(content).encode(), False)
    hear_and_show([bad, *(said("a", each) for each in MESSAGES), bad])


def spoil(content: Any, chance: Any, value: Any) -> None:
    keys = list(content) if isinstance(content, dict) else list(range(len(content)))
    if isinstance(content, dict) and chance.random() < 0.1:
        content[NASTY] = value
        return
    key = chance.choice(keys)
    if isinstance(content[key], dict | list) and content[key] and chance.random() < 0.8:
        spoil(content[key], chance, value)
    elif isinstance(content, tuple):
        return
    else:
        content[key] = value


def test_texts_that_command_a_terminal_do_so_nowhere() -> None:
    hear_and_show(
        [
            said("a", event(1, text=NASTY[:1000])),
            said("a", state(faults=(NASTY,), config=NASTY, absent=NASTY, phase="no_camera")),
            said("a", record(2, {NASTY: window(throttled=(NASTY,), absent=NASTY)})),
            said("a", result(found=(Thing(NASTY, 1, 0.5),))),
            said("a", Reply("1", False, NASTY, {NASTY: NASTY})),
        ]
    )


@pytest.mark.parametrize("now_s", [0.0, NOW_S, 4e9])
def test_the_watchers_own_clock_may_be_wrong(now_s: float) -> None:
    hear_and_show([said("a", each) for each in MESSAGES], now_s)


def test_texts_of_strangers_are_one_safe_line() -> None:
    for text in (NASTY, "\ud800", "\u2028x\u2029", "\x00", "\u0301" * 9000, ""):
        line = printable(text, 40)
        assert line.isprintable() and len(line) <= 40


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**63), 2**64))
def test_numbers_are_short_whatever_they_are(value: float, whole: int) -> None:
    texts = [number(value, "C", 1), duration(abs(value)), stretch(value), count(whole), size(whole)]
    assert all(len(text) <= 24 for text in texts), texts


def test_moments_of_any_size_have_a_name() -> None:
    assert re.match(r"\d\d:\d\d:\d\d|\w+ \d\d \d\d:\d\d", clock_time(NOW_S))


def test_one_device_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """New spools, boots, pipelines and results without end."""
    known = Fleet(FLEET)
    tracemalloc.start()
    try:
        for round_ in range(1200):
            if round_ == 600:
                before, _ = tracemalloc.get_traced_memory()
            name = f"p{round_}"
            big = {f"{name}-{n}" + "x" * 1000: window() for n in range(3)}
            known.hear(said("a", record(round_ * 2, big, spool=f"s{round_ // 10}")), NOW_S)
            known.hear(said("a", record(round_ * 2, big, boot=f"{name}" + "b" * 9999)), NOW_S)
            known.hear(said("a", event(round_ * 2 + 1)), NOW_S)
            known.hear(said("a", result(name)), NOW_S)
            known.hear(said("a", state(faults=(name,) * 9)), NOW_S)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    (device,) = known.devices.values()
    assert len(device.records) <= MOST_RECORDS
    assert len(device.results) <= MOST_RESULTS
    assert len(device.spools) <= MOST_SPOOLS
    assert sum(map(len, device.moments.boots)) < 1000
    assert after - before < 300_000


def test_more_names_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_module, "MOST_DEVICES", 100)
    known = Fleet(FLEET)
    for n in range(1000):
        known.hear(said(f"d{n}", presence(True)), NOW_S)
    assert (len(known.devices), known.beyond) == (100, 900)
    assert known.hear(said("d7", record(1)), NOW_S) is not None, "those that are known go on"
    assert "beyond what can be shown" in everything_shown(known)


def test_more_bytes_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices_module, "MOST_BYTES", 100_000)
    known = Fleet(FLEET)
    for n in range(300):
        known.hear(said(f"d{n}", state(faults=("x" * 1000,))), NOW_S)
        known.hear(said(f"d{n}", record(1)), NOW_S)
    assert known.bytes <= 100_000
    assert known.beyond > 0
    records = known.records
    known.hear(said("d0", record(2)), NOW_S)
    assert known.records == records + 1, "what is no larger than before is still taken"


def test_what_is_known_is_weighed_as_it_is() -> None:
    known = Fleet(FLEET)
    for seq in range(5):
        for message in (presence(seq % 2 == 0), state(faults=("x",) * seq), record(seq), result()):
            known.hear(said("a", message), NOW_S)
    (device,) = known.devices.values()
    payloads = (presence(True), state(faults=("x",) * 4), record(4), result())
    assert known.bytes == sum(len(to_json(each)) for each in payloads)
    assert isinstance(device, Device)


def test_what_a_device_may_send_is_read() -> None:
    """A device of many pipelines and many troubles says all that in one message."""
    known = Fleet(FLEET)
    message = state(faults=("x" * 900,) * 100, pipelines=tuple(f"p{n}" for n in range(400)))
    assert LARGEST // 2 < len(to_json(message)) <= LARGEST
    news = known.hear(said("a", message), NOW_S)
    assert news is not None and news.garbage is None and known.devices["a"].state == message


def test_many_troubles_are_shown_in_time() -> None:
    """Each name of a pipeline is also the beginning of a fault."""
    names = tuple(f"p{n}" for n in range(700))
    faults = tuple(f"p{n % 700}: camera: {n}" for n in range(4000))
    known = Fleet(FLEET)
    known.hear(said("a", state("no_camera", "gone", faults, pipelines=names)), NOW_S)
    begun_s = time.process_time()
    found = concerns(known.devices["a"], NOW_S)
    assert time.process_time() - begun_s < 5.0
    assert Concern(FAULT, "3,280 faults more") in found


def test_too_large_a_payload_is_not_read() -> None:
    known = Fleet(FLEET)
    payload = to_json(state(faults=("x" * 900,) * 300))
    assert len(payload) > LARGEST
    news = known.hear(Received(f"vedette/{FLEET}/device/a/state", payload, False), NOW_S)
    assert news is not None and news.garbage is not None and "too many" in news.garbage
    assert known.bytes == 0
