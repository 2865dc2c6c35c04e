"""The live table, drawn with rich. The only file that imports rich."""

from __future__ import annotations

import sys
from typing import TextIO

from rich.box import ROUNDED
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel as Border
from rich.table import Table
from rich.text import Text

from runtime.panel import Panel, printable
from runtime.table import (
    duration,
    found_rows,
    losses_words,
    per_second,
    right,
    stage_rows,
)
from runtime.tasks import Found
from runtime.tracking.brief import NOTHING, Brief

MOST_FOUND = 8
FIXED_LINES = 14  # all but what was found: borders, speed, stages, losses, blanks
NARROW = 56  # columns; below this there is no room for bars and p99


class View:
    """A table that is redrawn in place, and taken away when it is closed."""

    def __init__(self, file: TextIO, address: str | None) -> None:
        self._console = Console(file=file, highlight=False)
        self._address = address
        self._size = self._console.size
        self._live = Live(
            Text("waiting for the first frame"),
            console=self._console,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
            redirect_stdout=sys.stdout.isatty(),  # a pipe gets what is meant for it
            redirect_stderr=sys.stderr.isatty(),
        )
        self._live.start(refresh=True)

    def draw(self, panel: Panel, found: Found, brief: Brief) -> None:
        size = self._console.size
        if size != self._size:  # the terminal has wrapped what stood there: begin on a clean one
            self._size = size
            self._console.clear()
        picture = render(panel, found, self._address, size.width, size.height, self._plain, brief)
        self._live.update(picture, refresh=True)

    @property
    def _plain(self) -> bool:
        return not self._console.encoding.lower().startswith("utf")

    def close(self) -> None:
        self._live.stop()


def render(
    panel: Panel, found: Found, address: str | None, width: int, height: int, plain: bool,
    brief: Brief = NOTHING,
) -> RenderableType:  # fmt: skip
    """The whole table for a terminal of `width` x `height` characters. plain: ASCII only."""
    room = max(0, min(MOST_FOUND, height - FIXED_LINES))
    parts: list[RenderableType] = [speed(panel)]
    if panel.absent is not None:
        reason = printable(panel.absent, 200)
        parts.append(Text(f"camera absent: {reason}", style="bold red", overflow="fold"))
        room = max(0, room - 1)
    parts += [Text(), stages(panel, width, plain), losses(panel, width)]
    if brief.places and room:
        parts.append(places(brief.places))
        room -= 1
    parts.append(Text("found", style="dim"))
    parts.append(what_was_found(found_rows(found, room, brief.numbers), room, width, plain))
    title = " ".join(filter(None, (panel.model, panel.version, "on", panel.camera)))
    return Border(
        Group(*parts),
        box=ROUNDED,
        title=Text(printable(title, max(8, width - 6)), style="bold"),
        title_align="left",
        subtitle=Text(address or "Ctrl-C ends", style="cyan" if address else "dim"),
        subtitle_align="left",
        border_style="red" if panel.absent is not None else "none",
        width=min(width, 100),
    )


def speed(panel: Panel) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(per_second(panel.fps), style="bold green")
    line.append(f"   {panel.frames:,} results in {panel.seconds:.0f} s")
    if panel.accuracy is not None:
        line.append(f"   {right(panel.accuracy)}")
    return line


def stages(panel: Panel, width: int, plain: bool) -> Table:
    """p50, p95, p99 of each stage and, where there is room, the first two as a bar."""
    wide = width >= NARROW
    table = Table(box=None, padding=(0, 2, 0, 0), expand=wide, pad_edge=False)
    table.add_column("stage", no_wrap=True, header_style="dim")
    for name in ("p50", "p95", "p99") if wide else ("p50", "p95"):
        table.add_column(name, justify="right", no_wrap=True, header_style="dim")
    if wide:
        table.add_column("", ratio=1)
    rows = stage_rows(panel)
    most = max((spread.p95 for _, spread in rows), default=1.0) or 1.0
    length = min(width, 100) - 45
    for name, spread in rows:
        numbers = (spread.p50, spread.p95, spread.p99)[: 3 if wide else 2]
        cells: list[RenderableType] = [Text(time(us, plain)) for us in numbers]
        if wide:
            cells.append(bar(spread.p50 / most, spread.p95 / most, length, plain))
        table.add_row(Text(name), *cells, style="bold" if name == "end to end" else "")
    for _ in range(5 - len(rows)):
        table.add_row("-")
    return table


def time(us: float, plain: bool) -> str:
    return duration(us) if plain else duration(us).replace("us", "µs")


def bar(half: float, most: float, length: int, plain: bool) -> Text:
    """A bar of at most `length` characters: strong up to `half`, faint up to `most` (0 to 1)."""
    strong, faint = ("#", ".") if plain else ("━", "╌")
    long = min(length, max(1, round(half * length))) if half > 0 else 0
    beyond = max(0, min(length, round(most * length)) - long)
    return Text.assemble((strong * long, "cyan"), (faint * beyond, "cyan"), no_wrap=True)


def losses(panel: Panel, width: int) -> Text:
    """Why frames gave no result; where room is scarce, only what happened."""
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append("no result  ", style="dim")
    for words in losses_words(panel):
        none = words.startswith("0 ")
        if not none or width >= NARROW:
            line.append(f"{words}   ", style="dim" if none else "yellow")
    return line


def places(words: tuple[str, ...]) -> Text:
    """How many are in each zone and crossed each line."""
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append("places     ", style="dim")
    return line.append("   ".join(words))


def what_was_found(rows: list[tuple[str, str, float]], room: int, width: int, plain: bool) -> Table:
    """A fixed number of rows, so that the table keeps its height."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, overflow="ellipsis", max_width=max(8, width // 3))
    table.add_column(justify="right", no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True)
    for name, words, share in rows:
        length = max(4, min(30, width - 8 - width // 3 - 6))
        table.add_row(Text(name, style="bold"), Text(words), bar(share, share, length, plain))
    if not rows and room:
        table.add_row(Text("nothing found", style="dim"))
    for _ in range(room - max(1, len(rows))):
        table.add_row("")
    return table
