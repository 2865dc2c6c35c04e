"""How templates write numbers, times and names: the same words as on a terminal."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime, timezone

from jinja2 import Environment

from fleet.concerns import Kind
from fleet.live.kinds import LABELS
from fleet.wording import count, duration, number, plural, size, stretch

CELSIUS = re.compile(r"(?<=\d) C\b")
REVISION = re.compile(r" Model [A-Z]\b| Rev [0-9.]+|^NVIDIA (?=Jetson)")
STAGE_NAMES = {
    "queue": "Queue",
    "preprocess": "Preprocess",
    "inference": "Inference",
    "postprocess": "Postprocess",
    "end_to_end": "End to end",
}


def known_to(environment: Environment, now_s: Callable[[], float] = time.time) -> None:
    """Give an environment all of them. now_s: Unix time."""

    def ago(at_s: float | None) -> str:
        return "never" if at_s is None else f"{stretch(max(0.0, now_s() - at_s))} ago"

    environment.globals["now_s"] = now_s
    environment.filters.update(
        ago=ago,
        board=short_board,
        count=count,
        decimal=number,
        degrees=degrees,
        duration=lambda us: duration(us).replace(" us", " µs"),
        iso=iso,
        kind=kind_words,
        phase=phase_words,
        plural=plural,
        rate=rate,
        size=size,
        stage=STAGE_NAMES.__getitem__,
        stretch=stretch,
        utc=utc,
    )


def iso(at_s: float) -> str:
    """For a `<time>`."""
    return _utc(at_s).strftime("%Y-%m-%dT%H:%M:%SZ")


def utc(at_s: float) -> str:
    """As it stands there until a script puts it into the reader's time zone."""
    return _utc(at_s).strftime("%b %d, %H:%M:%S UTC")


def rate(fps: float | None) -> str:
    """Frames a second, three digits of them."""
    if fps is None:
        return "-"
    return f"{fps:.1f}" if fps < 99.95 else f"{fps:,.0f}"


def phase_words(phase: str) -> str:
    """`no_camera` as people write it."""
    return phase.replace("_", " ")


def degrees(words: str) -> str:
    """What is said of a temperature, as people write it: `86 °C hot`."""
    return CELSIUS.sub(" °C", words)


def kind_words(kind: Kind) -> str:
    return LABELS[kind]


def short_board(board: str) -> str:
    """`Raspberry Pi 5 Model B Rev 1.0` as people call it."""
    return REVISION.sub("", board)


def _utc(at_s: float) -> datetime:
    """What is beyond all calendars becomes their end: devices say any number."""
    return datetime.fromtimestamp(min(max(at_s, 0.0), 253402300799.0), timezone.utc)
