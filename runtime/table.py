"""What a terminal shows of a run: a live table, or a line now and then, and a summary.

The table is drawn on its own thread, four times a second; the loop only leaves its newest result.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TextIO

from runtime.panel import STAGES, Panel, Spread, printable
from runtime.tasks import Entry, Found, Region, Stats, Value, Vector
from runtime.tracking.brief import NOTHING, Brief, brief_of

LIVE_S = 0.25
LINE_S = 5.0
REASONS = (
    ("skipped", "skipped"),
    ("driver", "lost"),
    ("decode", "damaged"),
    ("refused", "refused"),
)


class Shown(Protocol):
    """What the table needs of a result."""

    @property
    def found(self) -> Found: ...


class Screen(Protocol):
    """Where it is shown."""

    def draw(self, panel: Panel, found: Found, brief: Brief) -> None: ...
    def close(self) -> None: ...


class Table:
    """Shows a run while it goes on. `show` is for the loop's thread."""

    def __init__(self, look: Callable[[], Panel], file: TextIO, address: str | None = None) -> None:
        """Begin to show: a live table if `file` is a terminal, else a line every LINE_S seconds.

        look: gives the numbers; called from the table's thread. address: of the preview, if any.
        """
        self._look = look
        self._newest: Shown | None = None
        self._fault: BaseException | None = None
        self._stop = threading.Event()
        live = file.isatty()
        self._every_s = LIVE_S if live else LINE_S
        self._screen: Screen = open_screen(file, address) if live else Lines(file)
        self._thread = threading.Thread(target=self._run, name="table", daemon=True)
        self._thread.start()

    def show(self, result: Shown) -> None:
        """Call with the result of each frame. Never blocks. Raises what the thread died of."""
        self._newest = result
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        try:
            while not self._stop.wait(self._every_s):
                newest = self._newest
                found = () if newest is None else newest.found
                self._screen.draw(self._look(), found, brief_of(newest))
        except BaseException as error:
            self._fault = error  # a bug, or a closed pipe: the loop's thread raises it

    def close(self) -> None:
        """Take the table off the terminal. May be called twice."""
        self._stop.set()
        self._thread.join()
        self._screen.close()

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def open_screen(file: TextIO, address: str | None) -> Screen:
    from runtime.table_view import View  # rich is imported only where there is a terminal

    return View(file, address)


class Lines:
    """One plain line at a time, for logs and pipes."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def draw(self, panel: Panel, found: Found, brief: Brief) -> None:
        encoding = self._file.encoding or "ascii"
        line = plain_line(panel, found, brief).encode(encoding, "replace").decode(encoding)
        print(line, file=self._file, flush=True)

    def close(self) -> None:
        """Nothing to take away."""


def plain_line(panel: Panel, found: Found, brief: Brief = NOTHING) -> str:
    """The state of a run in one line of text."""
    if panel.absent is not None:
        return f"camera absent: {printable(panel.absent, 200)}; {panel.frames:,} results so far"
    parts = [f"{panel.frames:,} results", per_second(panel.fps)]
    if panel.stages is not None:
        spread = panel.stages.end_to_end
        parts.append(f"end to end p50 {duration(spread.p50)} p95 {duration(spread.p95)}")
    parts += [what for what in losses_words(panel) if not what.startswith("0 ")]
    rows = found_rows(found, 4, brief.numbers)
    names = ", ".join(f"{name} {score}".rstrip() for name, score, _ in rows)
    return "; ".join((", ".join(parts), f"found {names or 'nothing'}", *brief.places))


def summary(panel: Panel) -> str:
    """What a whole run showed, as a plain table of ASCII text (but for names) without colours."""
    title = " ".join(filter(None, (panel.model, panel.version)))
    digest = f" ({panel.digest[:16]})" if panel.digest else ""
    counts = [f"{panel.frames:,} results in {panel.seconds:.1f} s", per_second(panel.fps)]
    if panel.accuracy is not None:
        counts.append(right(panel.accuracy))
    lines = [
        f"{printable(title)}{digest} with {panel.engine} on {printable(panel.camera, 200)}",
        ", ".join(counts),
        "frames without a result: " + ", ".join(losses_words(panel)),
    ]
    if panel.stages is not None:
        lines += ["", f"{'stage':<12}{'p50':>10}{'p95':>10}{'p99':>10}"]
        lines += [stage_line(name, spread) for name, spread in stage_rows(panel)]
    return "\n".join(lines)


def stage_line(name: str, spread: Spread) -> str:
    cells = (duration(us) for us in (spread.p50, spread.p95, spread.p99))
    return f"{name:<12}" + "".join(f"{cell:>10}" for cell in cells)


def stage_rows(panel: Panel) -> list[tuple[str, Spread]]:
    """(name as people say it, times) of the five stages."""
    stages = panel.stages
    if stages is None:
        return []
    return [(name.replace("_", " "), getattr(stages, name)) for name in STAGES]


def losses_words(panel: Panel) -> Iterable[str]:
    return (f"{getattr(panel.losses, key):,} {word}" for key, word in REASONS)


def found_rows(
    found: Found, most: int, numbers: tuple[int | None, ...] = ()
) -> list[tuple[str, str, float]]:
    """(name, words beside it, share for a bar from 0 to 1), best first, at most `most`.

    numbers: of tracks, one for each that was found. They stand first: a long name is cut."""
    rows = [found_row(entry) for entry in found]
    for place, number in enumerate(numbers):
        if number is not None:
            name, words, share = rows[place]
            rows[place] = f"#{number} {name}", words, share
    rows.sort(key=lambda row: -row[2])  # those without a bar stay in their order
    return rows[:most]


def found_row(entry: Entry) -> tuple[str, str, float]:
    if isinstance(entry, Stats):
        words = f"{entry.minimum:.3g} to {entry.maximum:.3g}, mean {entry.mean:.3g}"
        return printable(entry.name), words, 0.0
    if isinstance(entry, Value):
        return printable(entry.name), f"{entry.value:.6g}", 0.0
    if isinstance(entry, Vector):
        return printable(entry.name), vector_words(entry), 0.0
    share = entry.share if isinstance(entry, Region) else entry.score
    name, part = printable(entry.label) or f"#{entry.index}", min(1.0, max(0.0, share))
    return (
        name,
        f"{share:.0%} of the picture" if isinstance(entry, Region) else f"{share:.0%}",
        part,
    )


def vector_words(vector: Vector) -> str:
    """`128 numbers, length 3.2`"""
    return f"{len(vector.values)} numbers, length {vector.length:.3g}"


def duration(us: float) -> str:
    """Microseconds as people read them, three digits: `812 us`, `6.40 ms`, `1.25 s`."""
    if us < 999.5:
        return f"{us:.0f} us"
    value, unit = (us / 1e3, "ms") if us < 999_500 else (us / 1e6, "s")
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def per_second(fps: float | None) -> str:
    return "no rate yet" if fps is None else f"{fps:.1f} per second"


def right(accuracy: float) -> str:
    return f"{accuracy:.1%} right"
