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
    running,
    vedette,
)
from scripts.telling.story import Story, told

PORT = 8080
LOGS = ("broker", "depot", "agent", "runtime")


def main() -> int:
    words = parser().parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was started ends too
    with tempfile.TemporaryDirectory(prefix="vedette-") as name:
        place = Place(Path(name), free_port(1883))
        preview = 0 if words.check else words.port if words.port is not None else free_port(PORT)
        return tell(place, preview, words)


def tell(place: Place, preview: int, words: argparse.Namespace) -> int:
    began_s = time.monotonic()
    with ExitStack() as stack:
        stack.enter_context(broker(place))
        listening = stack.enter_context(Listening(place))
        story = Story(place, listening)
        wrong = told(story, [story.prepare])
        if wrong is None:
            depot = vedette("fleet", "depot", "--dir", str(place.fleet))
            stack.enter_context(running("depot", depot, place))
            stack.enter_context(device(place, preview))
            if preview:
                story.note(f"live picture on http://127.0.0.1:{preview}/")
            steps = [story.first_model, story.second_model, story.lying_model, story.slow_model]
            wrong = told(story, [*steps, story.ending])
        if wrong is None:
            wrong = telemetry_missing(listening)
        if wrong is not None:
            show_logs(place)
        if words.check:
            seconds = round(time.monotonic() - began_s, 1)
            verdict = {"ok": wrong is None, "wrong": wrong, "camera": CAMERA, "seconds": seconds}
            print(json.dumps(verdict | story.facts))
        elif wrong is None:
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


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Tells the main job on this machine, without a camera and without root: the "
        "keys of a fleet, a depot, a device that waits for a model, and four versions: two good "
        "ones, one that is rejected, one that is tried and rolled back.",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="no screen: each step is judged; one line of JSON at the end, exit code 0 if all was "
        "as it should be",
    )
    parser.add_argument(
        "--port",
        type=int,
        help=f"of the page with the live picture, on loopback ({PORT}, or any free one)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
