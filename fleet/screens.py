"""Where a watcher sees what arrives: a live table in a terminal, plain lines, lines of JSON."""

from __future__ import annotations

import io
import json
import os
import re
import select
import sys
from dataclasses import dataclass
from typing import Protocol, TextIO

import msgspec
from msgspec import Struct

from fleet.devices import Fleet, News
from fleet.lines import news_line
from fleet.wording import printable

CONNECTING = "connecting"  # how it stands at first
_NOT_ASCII = re.compile(r"[^ -~]")


@dataclass(frozen=True)
class Standing:
    """How we stand with the broker. where: its URL. why: what is wrong, or None."""

    where: str
    why: str | None


class Screen(Protocol):
    """Shows it. Times are Unix time, by the watcher's clock."""

    def tell(self, news: News, now_s: float) -> None:
        """Show a message, if messages are shown."""

    def draw(self, fleet: Fleet, standing: Standing, now_s: float) -> bool:
        """Show how everything stands, if that is shown. False: nobody wants to see more."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class Line(Struct, frozen=True):
    """One line of JSON. kind "unreadable": message says what could not be read, and why. message is
    null where a retained presence or state was taken away."""

    device: str
    kind: str
    received: float
    retained: bool
    message: msgspec.Raw


class Unreadable(Struct, frozen=True):
    """kind: what it should have been."""

    kind: str
    why: str


class Lines:
    """A line for each message, flushed; what happens to the connection goes to stderr."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._said: str | None = CONNECTING
        self._is_full = False

    def tell(self, news: News, now_s: float) -> None:
        self.write(news_line(news, now_s))

    def write(self, line: str) -> None:
        print(line, file=self._file, flush=True)

    def draw(self, fleet: Fleet, standing: Standing, now_s: float) -> bool:
        if standing.why != self._said:
            self._said = standing.why
            note(f"connected to {standing.where}" if standing.why is None else standing.why)
        if fleet.beyond and not self._is_full:
            self._is_full = True
            note(f"{len(fleet.devices)} devices are all that can be watched: others are left out")
        return has_reader(self._file)

    def close(self) -> None:
        """Nothing to leave."""


class JsonLines(Lines):
    """The same as lines of JSON in ASCII, so that no text in them can command a terminal."""

    def tell(self, news: News, now_s: float) -> None:
        kind, message = news.kind, news.text
        if news.garbage is not None:
            kind, message = "unreadable", msgspec.json.encode(Unreadable(news.kind, news.garbage))
        line = Line(news.device, kind, round(now_s, 3), news.retained, msgspec.Raw(message))
        text = msgspec.json.encode(line).decode()
        self.write(_NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text))


def open_screen(file: TextIO, device: str | None) -> Screen:
    """The live table where that can be drawn, else plain lines. device: only this one, in depth."""
    if isinstance(file, io.TextIOWrapper):
        file.reconfigure(errors="replace")
    if not is_terminal(file):
        return Lines(file)
    try:
        from fleet.table import View  # rich is imported only where there is a terminal
    except ImportError as error:
        if (error.name or "").split(".")[0] != "rich":
            raise
        return Lines(file)
    return View(file, device)


def is_terminal(file: TextIO) -> bool:
    """Whether a table can be drawn in place there."""
    return file.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def has_reader(file: TextIO) -> bool:
    """Whether somebody still reads what we write: a pipe tells that before we write to it."""
    try:
        poll = select.poll()
        poll.register(file.fileno(), 0)
        return not any(events & (select.POLLERR | select.POLLNVAL) for _, events in poll.poll(0))
    except (OSError, ValueError):  # no real file
        return True


def note(line: str) -> None:
    """Something worth knowing that is not a message."""
    print(f"vedette: {printable(line, 500)}", file=sys.stderr, flush=True)
