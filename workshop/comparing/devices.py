"""Latency on an enrolled device: its agent is asked for a bench of the live loop, by `vedette ask`.

In a process of its own: what the fleet's side knows is no business of the workshop.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from runtime.ending import own_words
from runtime.panel import Spread, printable
from wire.results import Figures
from wire.results import Spread as Told
from wire.troubles import Refused
from wire.unreadable import UNREADABLE
from workshop.comparing.results import OnDevice
from workshop.step import ROOT

PATIENCE_S = 600.0


class _Reply(Struct):
    ok: bool
    text: str
    content: Any = None


def ask_device(words: str, options: Sequence[str], digests: Mapping[str, str]) -> OnDevice:
    """A bench of `DEVICE` or `DEVICE/PIPELINE`. options: of `vedette ask`. digests: names of the
    models that are compared, by their digest. What goes wrong is its trouble."""
    device, _, pipeline = words.partition("/")
    asked = [device, "bench", *([pipeline] if pipeline else []), *options, "--json"]
    try:
        reply = _ask(asked)
    except Refused as trouble:
        return OnDevice(device, pipeline or None, trouble=str(trouble))
    try:
        figures = msgspec.convert(reply.content, Figures)
    except UNREADABLE:
        return OnDevice(device, pipeline or None, trouble=printable(reply.text, 300))
    return OnDevice(
        device,
        pipeline or None,
        digests.get(figures.digest),
        printable(f"{figures.model} {figures.version}"),
        printable(figures.engine),
        figures.frames,
        figures.fps,
        _spread(figures.stages_us.inference),
        _spread(figures.stages_us.end_to_end),
    )


def _ask(words: Sequence[str]) -> _Reply:
    paths = os.pathsep.join(os.path.abspath(entry) for entry in (*sys.path, str(ROOT)) if entry)
    try:
        child = subprocess.run(
            [sys.executable, "-m", "vedette", "ask", *words], capture_output=True, text=True,
            errors="replace", stdin=subprocess.DEVNULL, timeout=PATIENCE_S,
            env=os.environ | {"PYTHONPATH": paths},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Refused(f"gave no answer within {PATIENCE_S:g} s") from None
    try:
        reply = msgspec.json.decode(child.stdout, type=_Reply)
    except UNREADABLE:
        said = child.stderr.strip().splitlines()
        raise Refused(own_words(child.stderr) or (said[-1] if said else "no answer")) from None
    if not reply.ok:
        raise Refused(printable(reply.text, 300))
    return reply


def _spread(told: Told) -> Spread:
    return Spread(told.p50, told.p95, told.p99)
