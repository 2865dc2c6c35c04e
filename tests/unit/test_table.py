"""What a terminal shows: readable at any width, safe against hostile labels, never in the way."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest
from rich.cells import cell_len
from rich.console import Console

from runtime import table as table_module
from runtime.frames import Losses
from runtime.panel import Panel, Spread, Stages
from runtime.table import Table, duration, plain_line, summary
from runtime.table_view import render
from runtime.tasks import Box, Class, Found, Mask, Region, Stats, Vector
from runtime.tracking.brief import brief_of
from runtime.tracking.observer import Observed, Observer
from tests.by_hand import result_at
from wire.observation import Observation

TIMES = Stages(
    Spread(812, 1300, 1790),
    Spread(143, 229, 315),
    Spread(5230, 8370, 11500),
    Spread(61, 98, 134),
    Spread(6400, 10240, 14080),
)
PANEL = Panel(
    model="digits-detect",
    version="1.2.0",
    digest="9f86d081" * 8,
    engine="litert",
    camera="synthetic://640x480@30?digits=3",
    absent=None,
    fps=29.97,
    stages=TIMES,
    frames=1234,
    losses=Losses(skipped=12, decode=3),
    accuracy=0.984,
    seconds=41.2,
)
FOUND = (Box(7, "seven", 0.97, 1, 2, 3, 4), Box(3, "犬", 0.5, 1, 2, 3, 4))


@dataclass(frozen=True)
class Answer:
    found: Found


def shown(panel: Panel, found: Found, width: int, height: int = 24, plain: bool = False) -> str:
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, color_system=None)
    console.print(render(panel, found, "http://127.0.0.1:8080/", width, height, plain))
    return file.getvalue()


@pytest.mark.parametrize(
    ("us", "words"),
    [
        (0, "0 us"),
        (61.4, "61 us"),
        (999.4, "999 us"),
        (999.6, "1.00 ms"),
        (6400, "6.40 ms"),
        (10_240, "10.2 ms"),
        (99_960, "100 ms"),
        (999_400, "999 ms"),
        (999_600, "1.00 s"),
        (75_000_000, "75.0 s"),
    ],
)
def test_durations_have_three_digits_and_a_unit(us: float, words: str) -> None:
    assert duration(us) == words


@pytest.mark.parametrize("width", [30, 44, 56, 80, 120])
@pytest.mark.parametrize("height", [8, 24, 40])
def test_the_table_fits_its_terminal_and_keeps_its_height(width: int, height: int) -> None:
    heights = set()
    for found in ((), FOUND, FOUND * 9, (Class(1, "x" * 300, 0.5),)):
        lines = shown(PANEL, found, width, height).splitlines()
        assert max(map(cell_len, lines)) <= width
        heights.add(len(lines))
    assert len(heights) == 1
    assert heights.pop() <= max(height - 1, 15)  # the last line is where the cursor stands


def test_it_says_what_a_person_wants_to_know() -> None:
    said = shown(PANEL, FOUND, 100)
    for words in (
        "digits-detect 1.2.0",
        "synthetic://640x480@30",
        "30.0 per second",
        "98.4% right",
    ):
        assert words in said
    for words in ("6.40 ms", "10.2 ms", "14.1 ms", "143 µs", "12 skipped", "3 damaged", "0 lost"):
        assert words in said
    assert "seven" in said and "97%" in said and "127.0.0.1:8080" in said


def test_an_absent_camera_stands_out() -> None:
    panel = replace(PANEL, absent="the device was unplugged")
    assert "camera absent: the device was unplugged" in shown(panel, FOUND, 80)
    assert plain_line(panel, FOUND).startswith("camera absent: the device was unplugged")


def test_nothing_is_known_before_the_first_frame() -> None:
    panel = replace(PANEL, fps=None, stages=None, frames=0, accuracy=None, digest="")
    assert "no rate yet" in shown(panel, (), 80)
    assert "no rate yet" in plain_line(panel, ())
    assert "stage" not in summary(panel)


@pytest.mark.parametrize("label", ["\x1b[2J\x1b]0;owned\x07", "[red]x[/red]", "a\nb\rc", "\ud800"])
def test_a_label_cannot_command_the_terminal(label: str) -> None:
    found = (Box(1, label, 0.9, 0, 0, 1, 1), Box(2, "honest", 0.8, 0, 0, 1, 1))
    output = shown(replace(PANEL, absent=label), found, 80)
    assert "\x1b[2J" not in output and "\x1b]" not in output and "\x07" not in output
    assert output.count("\n") == shown(replace(PANEL, absent="x"), FOUND, 80).count("\n")
    line = plain_line(PANEL, found)
    assert line.isprintable() and "honest" in line
    if label.startswith("[red]"):
        assert output.count("[red]x[/red]") == 2  # the reason and the label, both as text


def test_plain_means_ascii() -> None:
    found = (Class(1, "seven", 0.5), Class(2, "three", 0.2))
    said = shown(PANEL, found, 80, plain=True).translate({ord(c): "" for c in "╭─╮│╰╯"})
    assert said.isascii() and "143 us" in said and "#" in said


def test_the_summary_is_a_plain_table() -> None:
    lines = summary(PANEL).splitlines()
    assert lines[0].startswith("digits-detect 1.2.0 (9f86d0819f86d081) with litert on synthetic:")
    assert lines[1] == "1,234 results in 41.2 s, 30.0 per second, 98.4% right"
    assert lines[2] == "frames without a result: 12 skipped, 0 lost, 3 damaged, 0 refused"
    assert [line.split()[0] for line in lines[-6:]] == [
        "stage",
        "queue",
        "preprocess",
        "inference",
        "postprocess",
        "end",
    ]
    assert lines[-1].split() == ["end", "to", "end", "6.40", "ms", "10.2", "ms", "14.1", "ms"]
    assert len({len(line) for line in lines[-6:]}) == 1


def test_statistics_are_said_in_numbers() -> None:
    found = (Stats("scores", (1, 10), -3.5, 4.25, 0.01),)
    assert "scores -3.5 to 4.25, mean 0.01" in plain_line(PANEL, found)
    assert "-3.5 to 4.25, mean 0.01" in shown(PANEL, found, 80)


def test_regions_and_vectors_are_said_in_words() -> None:
    mask = Mask((1, 1), (0, 1))
    box = (0, 0, 9, 9)
    found = (Region(0, "sky", 0.9, 0.25, *box, mask), Region(1, "road", None, 0.5, *box, mask))
    assert plain_line(PANEL, found).endswith(
        "found road 50% of the picture, sky 25% of the picture"
    )
    assert "50% of the picture" in shown(PANEL, found, 80)
    vector = (Vector("embedding", 3.25, (0.5,) * 128),)
    assert plain_line(PANEL, vector).endswith("found embedding 128 numbers, length 3.25")


def observed() -> Observed:
    """Two that have been there for long enough to have numbers, one of them in the zone."""
    tables = {
        "tracking": {},
        "zone": {"door": {"points": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}},
        "line": {"gate": {"points": [[0.5, 0], [0.5, 1]], "directions": ["in", "out"]}},
    }
    observer = Observer(msgspec.convert(tables, Observation), lambda: (100, 100))
    found = (Box(7, "seven", 0.97, 10, 20, 20, 40), Box(3, "x" * 300, 0.5, 70, 20, 20, 40))
    for number in range(20):
        result = observer(result_at(number * 100_000_000 + 10**9, found))
    assert isinstance(result, Observed)
    return result


@pytest.mark.parametrize("width", [30, 44, 80])
@pytest.mark.parametrize("height", [8, 16, 24])
def test_tracks_have_their_numbers_and_places_their_counts(width: int, height: int) -> None:
    result = observed()
    brief = brief_of(result)
    picture = render(PANEL, result.found, None, width, height, False, brief)
    file = io.StringIO()
    Console(file=file, width=width, height=height, color_system=None).print(picture)
    lines = file.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    assert len(lines) == len(shown(PANEL, FOUND, width, height).splitlines())
    assert ("#1 seven" in file.getvalue()) == (height > 14)
    assert ("door 1" in file.getvalue()) == (height > 14)
    if height > 16:
        assert "#2 xxx" in file.getvalue()
    if width == 80 and height > 14:
        assert "places     door 1   gate in 0, out 0" in file.getvalue()


def test_a_line_says_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "LINE_S", 0.05)
    file = io.StringIO()
    with Table(lambda: PANEL, file) as table:
        table.show(observed())
        wait_until(lambda: "\n" in file.getvalue())
    first = file.getvalue().splitlines()[0]
    assert "; found #1 seven 97%, #2 xxx" in first
    assert first.endswith("; door 1; gate in 0, out 0")


def test_where_there_is_no_terminal_a_line_is_said_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table_module, "LINE_S", 0.05)
    binary = io.BytesIO()
    file = io.TextIOWrapper(binary, encoding="ascii")  # not even UTF-8
    with Table(lambda: PANEL, file) as table:
        table.show(Answer(FOUND))
        wait_until(lambda: binary.getvalue().count(b"\n") >= 2)
    last = binary.getvalue().decode("ascii").splitlines()[-1]
    assert last.startswith("1,234 results, 30.0 per second, end to end p50 6.40 ms")
    assert last.endswith("12 skipped, 3 damaged; found seven 97%, ? 50%")


def test_a_reader_that_went_away_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_module, "LINE_S", 0.02)
    reader, writer = os.pipe()
    os.close(reader)
    file = os.fdopen(writer, "w")
    with Table(lambda: PANEL, file) as table, pytest.raises(BrokenPipeError):
        while True:
            table.show(Answer(FOUND))
            time.sleep(0.01)
    with pytest.raises(BrokenPipeError):
        file.close()


PROGRAM = """
import sys, time
sys.path.insert(0, {root!r})
from tests.unit.test_table import PANEL, FOUND, Answer
from runtime.table import Table
with Table(lambda: PANEL, sys.stderr, "http://127.0.0.1:8080/") as table:
    for n in range(12):
        table.show(Answer(FOUND))
        print('{{"seq": %d}}' % n, flush=True)
        time.sleep(0.1)
"""


@pytest.mark.parametrize("colour", [{}, {"NO_COLOR": "1"}])
def test_on_a_real_terminal_it_is_live_and_leaves_no_trace(colour: dict[str, str]) -> None:
    """The table on stderr's terminal; JSON on stdout goes to its pipe, not into the table."""
    root = str(Path(__file__).parents[2])
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **colour}
    if not colour:
        environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(root=root)],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env=environment,
        cwd=root,
    )
    os.close(theirs)
    output = drain(ours)
    results, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output
    assert results.decode().splitlines() == [f'{{"seq": {n}}}' for n in range(12)]
    assert output.count("digits-detect 1.2.0") >= 3  # drawn again and again
    assert "seven" in output and "seq" not in output
    assert output.rfind("\x1b[?25h") > output.rfind("\x1b[?25l")  # the cursor is back
    assert ("\x1b[36m" in output) == (not colour)


def drain(terminal: int) -> str:
    chunks: list[bytes] = []
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux says EIO when the other side has closed
            chunk = b""
        if not chunk:
            os.close(terminal)
            return b"".join(chunks).decode()
        chunks.append(chunk)


def wait_until(happened: object, seconds: float = 20) -> None:
    assert callable(happened)
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)
