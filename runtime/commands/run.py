"""`vedette run`: take frames from a camera, run a model on them, show what it finds."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TextIO

import msgspec

from runtime.cameras import NETWORK, Ended
from runtime.commands.flags import (
    add_camera_option,
    add_model_options,
    duration_s,
    engine_options,
    pipeline_name,
    port,
    positive,
)
from runtime.commands.observing import add_observing_options, observer_of
from runtime.loader import Loader, open_tried
from runtime.locating import resolve
from runtime.loop import Loop, Model, Result, look_away
from runtime.memory import peak_rss_bytes, process_started_ns
from runtime.panel import Panel
from runtime.sharing.configured import camera_by_hand, offering
from runtime.stopping import leave_on_sigterm, stop_on_signals
from runtime.tally import Tally
from runtime.tracking.telling import line_of
from wire.command_line import Parser
from wire.folders import add_run_option
from wire.masking import masked
from wire.troubles import Refused, one_line

PATIENCE_S = 0.5  # how long one step waits for a frame before the stop flag is looked at


def main(argv: Sequence[str]) -> int:
    words = parser().parse_args(argv)
    leave_on_sigterm()
    with ExitStack() as stack:
        judge_camera(words.camera)
        model = open_named(words)
        camera = stack.enter_context(
            camera_by_hand(words.camera, words.share, words.run.absolute())
        )
        camera.aim = model.aim
        tally = Tally(camera, words.camera)
        watchers: list[Callable[[Result], None]] = [offering(camera, lambda: loop.model)]

        observe = observer_of(words, camera, model, note)

        def emit(result: Result) -> None:
            tally.add(result, loop.model)  # before filters: it judges the model
            seen = observe(result)
            for watch in watchers:
                watch(seen)

        def look() -> Panel:
            return tally.panel(loop.model)

        if words.results:
            watchers.append(_lines_to(stack.enter_context(_results_file(words.results))))
        preview = None
        if words.preview is not None:
            from runtime.preview import Preview  # costs what only a viewer needs

            title = f"{model.manifest.name} on {masked(words.camera)}"
            preview = stack.enter_context(Preview(words.preview, title, look))
            watchers.append(preview.show)
            note(f"preview: {preview.address}")
        loop = Loop(camera, model, emit, preview.glance if preview else look_away)
        loader = Loader(loop, words.engine, engine_options(words), note)
        stack.callback(loader.close)
        stop = stop_on_signals()
        signal.signal(signal.SIGHUP, lambda *_: loader.load(resolve(words.model)))
        if not words.json and words.results != "-":
            from runtime.table import Table

            address = preview.address if preview else None
            table = stack.enter_context(Table(look, sys.stdout, address))
            watchers.append(table.show)
        stack.callback(camera.stop)
        camera.start()  # last of all, or it would see its first frames overtaken
        _turn(loop, tally, words, stop)
    _report(words, tally, tally.total(loop.model))
    return 0


def open_named(words: argparse.Namespace) -> Model:
    """The model that the user names."""
    return open_tried(resolve(words.model), words.engine, engine_options(words), note)


def judge_camera(uri: str) -> None:
    """Say what is amiss with an address that somebody typed. Raises Refused."""
    if uri.startswith(NETWORK):
        from runtime.foresight_network import by_hand  # brings what only these cameras need

        for what in by_hand(uri):
            note(f"--camera: {what}")


def _turn(loop: Loop, tally: Tally, words: argparse.Namespace, stop: threading.Event) -> None:
    """Step until the wished number of results, the wished time, the end, or a signal."""
    most = words.frames or float("inf")
    end_s = time.monotonic() + (words.seconds or float("inf"))
    try:
        while tally.frames < most and time.monotonic() < end_s and not stop.is_set():
            loop.step(PATIENCE_S)
    except Ended:
        return


def _results_file(target: str) -> TextIO:
    """Where result lines go; each line is flushed, so that a reader at a pipe sees it at once."""
    if target == "-":
        if sys.stdout is None:
            raise Refused("--results -: standard output is closed: name a file")
        return open(sys.stdout.fileno(), "w", buffering=1, encoding="utf-8", closefd=False)
    try:
        return open(target, "w", buffering=1, encoding="utf-8")
    except OSError as error:
        raise Refused(
            f"--results {target}: cannot be written: {error.strerror}: name another file"
        ) from None


def _lines_to(file: TextIO) -> Callable[[Result], None]:
    """Writes each result as a line of JSON: seq, digest, found, the five stamps in ns; with --zones
    or --track also what was observed."""

    def write(result: Result) -> None:
        file.write(msgspec.json.encode(line_of(result)).decode() + "\n")

    return write


def _report(words: argparse.Namespace, tally: Tally, total: Panel) -> None:
    if words.json:
        first_s = None
        if tally.first_ns is not None:
            first_s = (tally.first_ns - process_started_ns()) / 1e9
        summary = msgspec.to_builtins(total) | {
            "peak_rss_mib": peak_rss_bytes() / 2**20,
            "first_result_s": first_s,
        }
        print(msgspec.json.encode(summary).decode())
        return
    from runtime.table import summary as in_words

    print(in_words(total), file=sys.stderr if words.results == "-" else sys.stdout)


def note(line: str) -> None:
    """Something worth knowing that is not a result."""
    print(f"vedette: {one_line(line)}", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette run",
        description="Take frames from a camera, run a model on them, show what it finds and how "
        "long each stage took. SIGHUP loads the model again, without losing a frame.",
    )
    add_camera_option(parser)
    add_model_options(parser)
    parser.add_argument(
        "--share", type=pipeline_name, metavar="NAME",
        help="lend the camera's frames to others, who name it --camera pipeline://NAME",
    )  # fmt: skip
    add_run_option(parser, "where those who share a camera meet")
    add_observing_options(parser)
    parser.add_argument("--frames", type=positive, metavar="N", help="stop after N results")
    parser.add_argument("--seconds", type=duration_s, metavar="S", help="stop after S seconds")
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    parser.add_argument(
        "--results", metavar="FILE", help="write each result as a line of JSON; - is stdout"
    )
    parser.add_argument(
        "--preview", type=port, metavar="PORT",
        help="serve a page with the live picture on 127.0.0.1; 0 takes a free port",
    )  # fmt: skip
    return parser
