"""The live view of a fleet in a terminal, drawn with rich: the worst device first, and only as
much as fits."""

from __future__ import annotations

import math
import sys
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fleet.concerns import Concern, Ranked, Ranking, cpu_percent, hottest_c, memory_percent
from fleet.devices import Device, Fleet, News
from fleet.heading import head_lines, latency_words, trouble_lines
from fleet.keys import Keys
from fleet.lines import happened_line, without_percent
from fleet.portrait import Line, portrait
from fleet.screens import Standing
from fleet.wording import model_words, number, plural, printable, spread, stretch
from wire.messages import PipelineState, Window

MOST_PIPELINES = 8  # rows of one device
MOST_EVENTS = 5
DRAW_S = 1.0
DOUBT_S = 5.0  # after so long without a word, a name may be mistyped
TOTAL_S = 5.0  # how often the latency of the whole fleet is added up
BAD = 80  # concerns of this weight are red, others yellow
KEYS = "space or n: next page, p: page before, q: end"
STYLES = {"title": "bold", "bad": "bold red", "plain": "", "dim": "dim"}
# column, from how many characters of terminal on it is shown
COLUMNS = (
    ("device", 0), ("presence", 40), ("board", 170), ("pipeline", 64), ("phase", 130),
    ("model", 100), ("fps", 0), ("end to end ms", 50), ("inference ms", 90), ("no result", 140),
    ("cpu", 110), ("memory", 150), ("temp", 120), ("record", 80), ("what is wrong", 0),
)  # fmt: skip
RIGHT = ("fps", "no result", "cpu", "memory", "temp", "record")


class View:
    """A Screen, redrawn in place and taken away when it is closed. device: only this one."""

    def __init__(self, file: TextIO, device: str | None) -> None:
        self._page = 0
        self._device = device
        self._ranking = Ranking()
        self._total: tuple[float, str] | None = None
        self._listening_s: float | None = None  # since when we are connected
        self._drawn: tuple[float, Standing | None] = (-math.inf, None)
        self._console = Console(file=file, highlight=False, markup=False, emoji=False)
        self._size = self._console.size
        self._live = Live(
            Text(""),
            console=self._console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=sys.stderr is not None and sys.stderr.isatty(),
        )
        self._live.start(refresh=True)
        self._keys = Keys()

    def tell(self, news: News, now_s: float) -> None:
        """Nothing: single messages are not shown."""

    def draw(self, fleet: Fleet, standing: Standing, now_s: float) -> bool:
        keys = self._keys.pressed()
        for key in keys:
            self._page = max(0, self._page + {" ": 1, "n": 1, "p": -1}.get(key, 0))
        size = self._console.size
        is_due = not 0 <= now_s - self._drawn[0] < DRAW_S or standing != self._drawn[1]
        if is_due or keys or size != self._size:
            if size != self._size:  # the terminal has wrapped what stood there: begin anew
                self._console.clear()
            self._drawn, self._size = (now_s, standing), size
            self._live.update(self._picture(fleet, standing, now_s), refresh=True)
        return "q" not in keys

    def _picture(self, fleet: Fleet, standing: Standing, now_s: float) -> RenderableType:
        room = max(1, self._size.height - 1)
        if self._device is not None:
            return self._portrait(fleet, self._device, standing, room, now_s)
        ranked = self._ranking.worst_first(fleet, now_s)
        latency = self._latency(fleet, now_s)
        head = head_lines(fleet, standing) + ([Line(latency, "dim")] if latency else [])
        picture, self._page = overview(
            fleet, ranked, head, self._page, self._size.width, room, now_s
        )
        return picture

    def _portrait(
        self, fleet: Fleet, name: str, standing: Standing, room: int, now_s: float
    ) -> RenderableType:
        lines = [Line(text, "bad") for text in trouble_lines(fleet, standing)]
        device = fleet.devices.get(name)
        if device is None:
            lines.append(Line(f"{name}: {self._why_nothing(standing, now_s)}"))
        else:
            lines += portrait(device, fleet.events, now_s)
        picture, self._page = excerpt(lines, self._page, room)
        return picture

    def _latency(self, fleet: Fleet, now_s: float) -> str:
        """Empty while no frame is known of."""
        if self._total is None or not 0 <= now_s - self._total[0] < TOTAL_S:
            self._total = (now_s, latency_words(fleet))
        return self._total[1]

    def _why_nothing(self, standing: Standing, now_s: float) -> str:
        """Of the one device. What is retained comes in the first moments, records once a minute."""
        if standing.why is not None:
            self._listening_s = None
        elif self._listening_s is None:
            self._listening_s = now_s
        if self._listening_s is None or 0 <= now_s - self._listening_s < DOUBT_S:
            return "waiting"
        return "nothing heard yet; is that its name, in this fleet?"

    def close(self) -> None:
        self._keys.close()
        self._live.stop()


def overview(
    fleet: Fleet,
    ranked: list[Ranked],
    head: list[Line],
    page: int,
    width: int,
    room: int,
    now_s: float,
) -> tuple[RenderableType, int]:
    """The whole fleet on `room` lines of `width` characters, and the page that it really is."""
    events = fleet.events[-min(MOST_EVENTS, max(0, (room - 10) // 4)) :] if room > 14 else []
    rows = max(1, room - len(head) - len(events) - 2)  # the table's head and the foot
    pages = paged(ranked, rows)
    page = max(0, min(page, len(pages) - 1))
    start, end = pages[page]
    parts: list[RenderableType] = [styled(line) for line in head[: max(0, room - 4)]]
    parts.append(device_table(ranked[start:end], rows, width, now_s))
    parts += [styled(Line(happened_line(happened), "dim")) for happened in reversed(events)]
    parts.append(styled(Line(foot(start, end, len(ranked), len(pages)), "dim")))
    return Group(*parts), page


def paged(ranked: list[Ranked], rows: int) -> list[tuple[int, int]]:
    """Which devices (from, up to) are on each page of so many rows; at least one page."""
    pages, start, used = [], 0, 0
    for place, entry in enumerate(ranked):
        height = rows_of(entry.device)
        if used + height > rows and place > start:
            pages.append((start, place))
            start, used = place, 0
        used += height
    return [*pages, (start, len(ranked))]


def rows_of(device: Device) -> int:
    return max(1, min(MOST_PIPELINES, len(names_of(device))))


def names_of(device: Device) -> list[str]:
    """The pipelines that are shown of a device."""
    states = {} if device.state is None else device.state.pipelines
    return sorted({*device.windows, *states})


def foot(start: int, end: int, total: int, pages: int) -> str:
    if total == 0:
        return "no device was heard yet; Ctrl-C ends"
    if pages == 1:
        return "Ctrl-C ends"
    hidden = total - (end - start)
    return (
        f"devices {start + 1:,} to {end:,} of {total:,}, the worst first, {hidden:,} not shown; "
        f"{KEYS}"
    )


def device_table(ranked: list[Ranked], rows: int, width: int, now_s: float) -> Table:
    columns = [name for name, least in COLUMNS if width >= least]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, expand=True)
    for name in columns:
        is_last = name == "what is wrong"
        table.add_column(
            name,
            no_wrap=True,
            overflow="ellipsis",
            header_style="dim",
            justify="right" if name in RIGHT else "left",
            ratio=1 if is_last else None,
            max_width=None if is_last else max(8, width // 6),
        )
    for entry in ranked:
        for place, cells in enumerate(device_rows(entry, now_s)):
            if table.row_count < rows:
                shown = [cells.get(name, "") for name in columns]
                table.add_row(*coloured(shown, columns, entry if place == 0 else None))
    return table


def coloured(shown: list[str], columns: list[str], entry: Ranked | None) -> list[Text]:
    """One row. entry: of the device that it is the first row of."""
    style = "bold"
    if entry is not None and entry.concerns:
        style = "bold red" if entry.concerns[0].weight >= BAD else "yellow"
    return [
        Text(text, style=style if name in ("device", "what is wrong") else "")
        for text, name in zip(shown, columns, strict=True)
    ]


def device_rows(entry: Ranked, now_s: float) -> list[dict[str, str]]:
    """Cells by column: the first row also says what belongs to the whole device."""
    device = entry.device
    states = {} if device.state is None else device.state.pipelines
    windows = device.windows
    rows = [
        pipeline_cells(name, states.get(name), windows.get(name))
        for name in names_of(device)[:MOST_PIPELINES]
    ] or [{}]
    rows[0] |= device_cells(device, entry.concerns, now_s)
    more = len(names_of(device)) - MOST_PIPELINES
    if more > 0:
        rows[-1]["what is wrong"] = f"{plural(more, 'pipeline')} more: --device {device.name}"
    return rows


def device_cells(device: Device, wrong: tuple[Concern, ...], now_s: float) -> dict[str, str]:
    presence = device.presence
    word = "" if presence is None else "online" if presence.online else "OFFLINE"
    since = "" if device.online_s is None else f" {stretch(now_s - device.online_s)}"
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    cells = {
        "device": device.name,
        "presence": f"{word}{since}",
        "board": "" if device.state is None else printable(device.state.board, 24),
        "what is wrong": f"{wrong[0].words}{more}" if wrong else "",
    }
    if device.newest is not None:
        health = device.newest.health
        cells |= {
            "cpu": number(cpu_percent(health), "%"),
            "memory": number(memory_percent(health), "%"),
            "temp": number(hottest_c(health), "C"),
        }
    if device.reached_s is not None:
        cells["record"] = stretch(now_s - device.reached_s)
    return cells


def pipeline_cells(name: str, state: PipelineState | None, window: Window | None) -> dict[str, str]:
    now = state or window
    assert now is not None
    cells = {
        "pipeline": printable(name, 20),
        "phase": now.phase.replace("_", " "),
        "model": printable(model_words(now.model, now.version), 24),
    }
    if window is not None:
        cells |= {
            "fps": number(window.fps, digits=1),
            "end to end ms": spread(window.stages.end_to_end),
            "inference ms": spread(window.stages.inference),
            "no result": number(without_percent(window), "%", 1),
        }
    return cells


def excerpt(lines: list[Line], page: int, room: int) -> tuple[RenderableType, int]:
    """As many lines as there is room for, a word about the rest, and the page that it really is."""
    if len(lines) <= room:
        return Group(*(styled(line) for line in lines)), 0
    rows = max(1, room - 1)
    page = max(0, min(page, (len(lines) - 1) // rows))
    start = page * rows
    shown = [styled(line) for line in lines[start : start + rows]]
    rest = f"lines {start + 1} to {start + len(shown)} of {len(lines)}; {KEYS}"
    return Group(*shown, styled(Line(rest, "dim"))), page


def styled(line: Line) -> Text:
    return Text(line.text, style=STYLES[line.kind], no_wrap=True, overflow="ellipsis")
