"""What an operator sees: what needs somebody comes first, at any size of the terminal."""

from __future__ import annotations

import io
import time

import pytest
from msgspec import Struct
from msgspec.structs import replace
from rich.console import Console

from fleet.concerns import Ranking, concerns
from fleet.devices import Fleet
from fleet.heading import head_lines
from fleet.lines import news_line
from fleet.portrait import portrait
from fleet.screens import Standing
from fleet.serve.pages.device import found_words
from fleet.table import View, excerpt, overview, paged
from fleet.wording import duration, number, size, spread, stretch
from tests.telling import (
    FLEET,
    HEALTH,
    NOW_S,
    counts,
    event,
    presence,
    record,
    result,
    said,
    state,
    window,
)
from wire.happenings import Passage, Places
from wire.health import Disk, Health, Throttle
from wire.link import Received
from wire.messages import Losses, Phase, Reply
from wire.results import Thing

WELL = Standing("mqtt://localhost:1883", None)


def small_fleet() -> Fleet:
    known = Fleet(FLEET)
    for name in ("alpha", "beta", "gamma"):
        for message in (presence(True), state(), record(1)):
            known.hear(said(name, message, retained=True), NOW_S)
    return known


def drawn(known: Fleet, width: int = 200, height: int = 30, page: int = 0) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, color_system=None)
    ranked = Ranking().worst_first(known, NOW_S)
    head = head_lines(known, WELL)
    console.print(overview(known, ranked, head, page, width, height - 1, NOW_S)[0])
    return file.getvalue().splitlines()


def names(lines: list[str]) -> list[str]:
    return [line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in NAMES]


NAMES = ("alpha", "beta", "gamma")


def test_the_table_says_what_an_operator_asks() -> None:
    lines = drawn(small_fleet())
    assert lines[0] == "home at mqtt://localhost:1883: 3 devices, 3 online, 3 records"
    row = next(line for line in lines if line.startswith("alpha"))
    for word in ("online", "raspberry", "door", "serving", "digits 1", "30.0", "0.7 %", "61 C"):
        assert word in row, word
    assert "6.5 10.2 10.2" in row, "p50, p95 and p99 of end to end"
    assert "37 %" in row and "25 %" in row, "cpu and memory"
    assert "since boot under_voltage" in row


TROUBLES = {
    "offline": [presence(False)],
    "a fault": [state(faults=("the broker's certificate expires in 3 days",))],
    "no camera": [state(phase="no_camera", absent="/dev/video0 went away")],
    "lost records": [record(2, lost=41)],
    "throttled": [record(2, {"door": window(throttled=("under_voltage",))})],
    "slowed now": [record(2, health=replace(HEALTH, throttle=Throttle(("throttled",), ())))],
    "hot": [record(2, health=replace(HEALTH, temperatures_c={"cpu": 91.0}))],
    "a full disk": [record(2, health=replace(HEALTH, disk=Disk(10**9, 10**6)))],
    "a config that was refused": [state(config="vedette.toml:3: fps is no key")],
    "a backlog": [record(200, oldest=100)],
    "a wrong clock": [record(2, time=NOW_S + 86400)],
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_the_device_that_needs_somebody_comes_first(trouble: str) -> None:
    known = small_fleet()
    assert names(drawn(known)) == ["alpha", "beta", "gamma"]
    for message in TROUBLES[trouble]:
        known.hear(said("gamma", message), NOW_S)
    lines = drawn(known)
    assert names(lines) == ["gamma", "alpha", "beta"], lines
    assert concerns(known.devices["gamma"], NOW_S)[0].words in "\n".join(lines)


def test_a_device_whose_records_stay_away_is_in_trouble() -> None:
    known = small_fleet()
    known.hear(said("beta", record(2, time=NOW_S + 499)), NOW_S + 500)
    (first, *_) = concerns(known.devices["gamma"], NOW_S + 500)
    assert first.words == "newest record is 8 min old"
    assert not [c for c in concerns(known.devices["beta"], NOW_S + 500) if c.weight > 20]


def test_offline_comes_before_everything_else() -> None:
    known = small_fleet()
    known.hear(said("alpha", state(faults=("x",) * 9, phase="no_camera")), NOW_S)
    known.hear(said("beta", presence(False)), NOW_S)
    assert names(drawn(known)) == ["beta", "alpha", "gamma"]


def test_a_healthy_device_has_no_concern() -> None:
    known = Fleet(FLEET)
    health = replace(HEALTH, throttle=Throttle())
    for message in (presence(True), state(), record(1, health=health)):
        known.hear(said("a", message), NOW_S)
    assert concerns(known.devices["a"], NOW_S + 100) == []


@pytest.mark.parametrize("width", [1, 8, 20, 40, 64, 80, 120, 200, 400])
@pytest.mark.parametrize("height", [3, 10, 24, 60])
def test_any_terminal_is_large_enough(width: int, height: int) -> None:
    known = small_fleet()
    known.hear(said("alpha", event(9)), NOW_S)
    lines = drawn(known, width, height)
    assert len(lines) <= height
    assert all(len(line) <= width for line in lines)


def test_pages_show_every_device_once() -> None:
    known = Fleet(FLEET)
    for n in range(100):
        known.hear(said(f"d{n:03}", state(pipelines=("a", "b", "c")[: n % 3])), NOW_S)
    ranked = Ranking().worst_first(known, NOW_S)
    pages = paged(ranked, 10)
    assert [n for start, end in pages for n in range(start, end)] == list(range(100))
    shown = [line.split()[0] for page in range(len(pages)) for line in drawn(known, 120, 16, page)
             if line.startswith("d")]  # fmt: skip
    assert {f"d{n:03}" for n in range(100)} <= set(shown)
    assert "not shown" in drawn(known, 120, 16)[-1]


@pytest.mark.slow
def test_ten_thousand_devices_are_drawn_in_time() -> None:
    known, ranking = Fleet(FLEET), Ranking()
    for n in range(10_000):
        for message in (presence(n % 50 != 0), state(), record(1)):
            known.hear(said(f"d{n}", message), NOW_S)
    console = Console(file=io.StringIO(), width=200, height=50, color_system=None)
    took = []
    for second in range(1, 4):
        begun = time.process_time()
        ranked = ranking.worst_first(known, NOW_S + second)
        console.print(overview(known, ranked, head_lines(known, WELL), 0, 200, 50, NOW_S)[0])
        took.append(time.process_time() - begun)
    assert min(took) < 0.5, took


def test_a_portrait_says_everything() -> None:
    known = small_fleet()
    known.hear(said("alpha", result()), NOW_S)
    known.hear(said("alpha", event(5)), NOW_S)
    known.hear(said("beta", event(5, text="of another")), NOW_S)
    text = "\n".join(line.text for line in portrait(known.devices["alpha"], known.events, NOW_S))
    for word in (
        "alpha online", "raspberry", "agent 0.3.0", "groups doors", "one every 60 s",
        "door: serving, digits 1", "litert (9f86d0819f86d081)", "results change",
        "queue", "preprocess", "inference", "postprocess", "end to end", "6.5",
        "12 skipped", "cores 12 30 7 99", "cpu 61.3 C", "wlan0", "arm 1800 MHz",
        "since boot: under_voltage", "clock synchronised", "found door: seven (97 %)",
        "fault: door: camera: the camera is absent",
    ):  # fmt: skip
        assert word in text, word
    assert "of another" not in text


def test_what_cannot_be_read_is_not_shown_as_nothing() -> None:
    known = Fleet(FLEET)
    bare = window(frames=0, throttled=None, durations_us=(), losses=Losses())
    empty = record(1, {"door": replace(bare, fps=None, rss_bytes=None)}, health=Health())
    known.hear(said("a", empty), NOW_S)
    text = "\n".join(line.text for line in portrait(known.devices["a"], [], NOW_S))
    assert "presence not heard" in text
    assert "cpu -" in text and "memory -" in text and "throttled not known" in text
    assert not [line for line in text.splitlines() if "disk" in line or "temperatures" in line]


def test_a_portrait_says_what_zones_and_lines_counted() -> None:
    known = Fleet(FLEET)
    passed = tuple(Passage("line", "gate", "in", 3, label) for label in ("person", "dog", "\x1b"))
    busy = replace(window(), places=Places({"porch": 2}, passed))
    known.hear(said("a", record(1, {"door": busy})), NOW_S)
    text = "\n".join(line.text for line in portrait(known.devices["a"], [], NOW_S))
    assert "  zones and lines: porch 2 inside, gate 9 in" in text.splitlines()


@pytest.mark.parametrize("room", [2, 5, 1000])
def test_a_portrait_is_paged(room: int) -> None:
    known = small_fleet()
    lines = portrait(known.devices["alpha"], [], NOW_S)
    shown: list[str] = []
    for page in range(1000 // room + 1):
        file = io.StringIO()
        picture, real = excerpt(lines, page, room)
        Console(file=file, width=300, color_system=None).print(picture)
        if real == page:
            shown += file.getvalue().splitlines()
        assert len(file.getvalue().splitlines()) <= room
    assert {line.text.rstrip() for line in lines} <= {line.rstrip() for line in shown}


class Screenful(io.StringIO):
    """Where a terminal's text can be read again."""

    def isatty(self) -> bool:
        return True


def test_the_view_draws_keeps_still_and_is_taken_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    known, file = small_fleet(), Screenful()
    for device in (None, "alpha", "nobody"):
        view = View(file, device)
        assert view.draw(known, WELL, NOW_S)
        before = len(file.getvalue())
        assert view.draw(known, WELL, NOW_S + 0.1)
        assert len(file.getvalue()) == before, "not more often than once a second"
        assert view.draw(known, Standing(WELL.where, "no route to the broker"), NOW_S + 0.2)
        view.close()
    text = file.getvalue()
    assert "3 devices" in text and "alpha online" in text and "nobody: waiting" in text
    assert "not connected: no route to the broker" in text


def test_a_name_is_doubted_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    file, known = Screenful(), Fleet(FLEET)
    view = View(file, "nobody")

    def shown(after_s: float, why: str | None = None) -> str:
        before = len(file.getvalue())
        view.draw(known, Standing(WELL.where, why), NOW_S + after_s)
        return file.getvalue()[before:]

    assert "nobody: waiting" in shown(0, "connecting")
    assert "nobody: waiting" in shown(20, "nothing listens")
    assert "nobody: waiting" in shown(30)
    assert "nobody: waiting" in shown(34)
    assert "nobody: nothing heard yet; is that its name, in this fleet?" in shown(36)
    assert "nobody: waiting" in shown(37, "the connection broke")
    view.close()


def test_no_latency_is_said_while_none_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for known in (Fleet(FLEET), small_fleet()):
        file = Screenful()
        view = View(file, None)
        view.draw(known, WELL, NOW_S)
        view.close()
        assert ("p50 p95 p99" in file.getvalue()) is bool(known.devices)


@pytest.mark.parametrize(
    ("phase", "absent", "fault", "words"),
    [
        ("no_camera", "it went away", "door: camera: it went away", "door no camera: it went away"),
        ("no_camera", "it went away", None, "door no camera: it went away"),
        ("silent", None, "door: pipeline: never heard", "door silent: never heard"),
        ("silent", None, None, "door silent"),
    ],
)
def test_why_a_pipeline_gives_nothing_is_told_once(
    phase: Phase, absent: str | None, fault: str | None, words: str
) -> None:
    known = Fleet(FLEET)
    faults = (fault,) if fault else ()
    known.hear(said("a", state(phase, absent, (*faults, "door: memory: full"))), NOW_S)
    told = [concern.words for concern in concerns(known.devices["a"], NOW_S)]
    assert told == [words, "door: memory: full"]


def test_faults_beyond_what_is_shown_are_counted() -> None:
    known = Fleet(FLEET)
    known.hear(said("a", state(faults=tuple(f"fault {n}" for n in range(23)))), NOW_S)
    assert concerns(known.devices["a"], NOW_S)[-1].words == "3 faults more"
    assert line_of(state(faults=("x",) * 23)).endswith("x; 7 more faults")


def test_a_pipeline_that_was_never_heard_is_shown_as_configured() -> None:
    message = state("silent")
    never = replace(message.pipelines["door"], version=None, digest=None, engine=None)
    message = replace(message, pipelines={"door": never})
    known = Fleet(FLEET)
    news = known.hear(said("a", message), NOW_S)
    assert news is not None and "door silent digits -" in news_line(news, NOW_S)
    text = "\n".join(line.text for line in portrait(known.devices["a"], [], NOW_S))
    assert "door: silent, digits -" in text and "  - on synthetic://640x480@30" in text
    lines = "\n".join(drawn(known))
    assert "digits -" in lines and "None" not in text + lines


def line_of(message: Struct) -> str:
    news = Fleet(FLEET).hear(said("door-1", message), NOW_S)
    assert news is not None
    return news_line(news, NOW_S)


def test_lines_say_what_a_message_says() -> None:
    assert line_of(presence(False)).endswith("door-1 presence: offline")
    assert line_of(state(faults=("hot",))).endswith(
        "door-1 state: agent 0.3.0 on raspberry; door serving digits 1; hot"
    )
    told = line_of(record(7, lost=2))
    assert "door-1 telemetry: record 7 of 60 s; door serving digits 1, 30.0 per second" in told
    assert "12 frames without a result" in told and told.endswith("2 records lost")
    assert line_of(event(3)).endswith("fault: door: camera: the camera is absent")
    assert line_of(result()).endswith("result: door: seven (97 %)")
    assert line_of(Reply("1", False, "no such pipeline")).endswith("refused: no such pipeline")
    known = Fleet(FLEET)
    known.hear(said("a", presence(True)), NOW_S)
    gone = known.hear(Received(f"vedette/{FLEET}/device/a/presence", b"", False), NOW_S)
    assert gone is not None and news_line(gone, NOW_S).endswith("a presence: taken away")
    bad = known.hear(Received(f"vedette/{FLEET}/device/a/state", b"{", False), NOW_S)
    assert bad is not None and "a state: cannot be read: not a State" in news_line(bad, NOW_S)


def test_classes_that_are_numbers_are_told_from_their_shares() -> None:
    """A classifier names its best few, whatever their scores."""
    things = (Thing("3", 3, 0.99), Thing("5", 5, 0.004), Thing("0", 0, 0.0))
    assert line_of(result(found=things)).endswith("result: door: 3 (99 %)")
    assert line_of(result(found=things[2:])).endswith("door: 0 (0 %)"), "not nothing at all"
    assert found_words(result(found=things)).startswith("3 (99 %) in frame ")
    many = tuple(Thing(str(n), n, 0.1) for n in range(20))
    assert "7 (10 %) and 12 more in frame" in found_words(result(found=many))
    assert line_of(result(found=many)).endswith("5 (10 %), 14 more")


def test_values_have_their_units() -> None:
    assert [stretch(s) for s in (5, 300, 3600 * 30, 86400 * 9, 86400 * 800)] == [
        "5 s", "5 min", "30 h", "9 days", "2.2 years",
    ]  # fmt: skip
    assert [duration(us) for us in (812, 6400, 1_250_000, None)] == [
        "812 us", "6.40 ms", "1.25 s", "-",
    ]  # fmt: skip
    assert [size(n) for n in (812, 48 * 1024, 2040109466, None)] == [
        "812 B", "48 KiB", "1.9 GiB", "-",
    ]  # fmt: skip
    assert number(None) == "-" and number(61.34, "C", 1) == "61.3 C"
    assert spread(counts()) == "-"
    words = spread(counts(*(1000.0 * n for n in range(1, 101)))).split()
    assert [float(word) for word in words] == [pytest.approx(n, rel=0.05) for n in (50, 95, 99)]
