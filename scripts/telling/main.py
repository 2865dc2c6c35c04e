"""The demo itself, run by the interpreter of its own environment: see scripts/demo."""

from __future__ import annotations

import argparse
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from scripts.telling.dashboard import crowd, dashboard, seen
from scripts.telling.listening import Listening
from scripts.telling.machines import (
    CAMERA,
    DEVICE,
    FLEET,
    PATIENCE_S,
    ROOT,
    Place,
    broker,
    device,
    free_port,
    vedette,
)
from scripts.telling.options import PICTURE_PORT, PORT, parser
from scripts.telling.story import Story, told

LOGS = ("broker", "serve", "agent", "runtime", "crowd")


def main() -> int:
    words = parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started ends too
    with tempfile.TemporaryDirectory(prefix="vedette-") as name:
        place = Place(Path(name), free_port(1883))
        return tell(place, words)


def tell(place: Place, words: argparse.Namespace) -> int:
    began_s = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(broker(place))
        listening = stack.enter_context(Listening(place))
        story = Story(place, listening)
        wrong = told(story, [story.prepare])
        if wrong is None:
            page = stack.enter_context(dashboard(place, words.port or free_port(PORT)))
            story.note(page.words)
            preview = 0 if words.check else words.picture_port or free_port(PICTURE_PORT)
            stack.enter_context(device(place, preview))
            if preview:
                story.note(f"live picture on http://127.0.0.1:{preview}/")
            stack.enter_context(crowd(place))
            steps = [story.first_model, story.second_model, story.for_the_crowd]
            steps += [story.lying_model, story.slow_model, story.ending]
            wrong = told(story, steps)
        if wrong is None:
            wrong = telemetry_missing(listening)
        if wrong is None:
            try:
                story.facts |= seen(page.wait_for_all())
            except TimeoutError as error:
                wrong = str(error)
        if wrong is not None:
            show_logs(place)
        if words.check:
            seconds = round(time.monotonic() - began_s, 1)
            verdict = {"ok": wrong is None, "wrong": wrong, "camera": CAMERA, "seconds": seconds}
            print(json.dumps(verdict | story.facts))
        elif wrong is None:
            story.note(page.words)
            watch(place)
    return 0 if wrong is None else 1


def telemetry_missing(listening: Listening) -> str | None:
    """The device reports all the while, once in 10 s."""
    try:
        listening.wait_for(lambda heard: heard.records >= 2, PATIENCE_S)
    except TimeoutError as error:
        return f"telemetry: {error}"
    return None


def watch(place: Place) -> None:
    """The live table of the device, until Ctrl-C."""
    print("\n== Live, until Ctrl-C", file=sys.stderr, flush=True)
    table = vedette("watch", "--broker", place.broker, "--fleet", FLEET, "--device", DEVICE)
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(table, cwd=ROOT)


def show_logs(place: Place) -> None:
    for name in LOGS:
        if place.log(name).exists():
            print(f"== {name}\n{place.log(name).read_text()}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
