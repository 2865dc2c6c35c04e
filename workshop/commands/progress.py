"""How far long work is: a bar on a terminal, else a line for each thing that begins."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from wire.troubles import one_line
from workshop.step import Progress, Tell


@contextmanager
def progress() -> Iterator[Tell]:
    """What hears `Progress` and shows it on standard error."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())  # fmt: skip
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("begins", total=None)

        def tell(now: Progress) -> None:
            bars.update(task, description=one_line(now.what), completed=now.done,
                        total=now.total or None)  # fmt: skip

        yield tell


class _Lines:
    """One line when something begins; counts would fill a log."""

    def __init__(self) -> None:
        self._shown = ""

    def __call__(self, now: Progress) -> None:
        if now.what != self._shown:
            self._shown = now.what
            print(f"vedette: {one_line(now.what)}", file=sys.stderr, flush=True)
