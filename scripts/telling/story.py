"""The main job, told step by step: a fleet's keys, a device without a model, and four versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scripts.telling import versions
from scripts.telling.dashboard import CROWD_PIPELINE
from scripts.telling.listening import Listening
from scripts.telling.machines import (
    FLEET,
    PASSPHRASE,
    PATIENCE_S,
    PIPELINE,
    ROOT,
    Place,
    vedette,
)

TRIAL_S = 5
ENVIRONMENT = os.environ | {"VEDETTE_PASSPHRASE": PASSPHRASE}


class Wrong(Exception):
    """Something did not come as the story has it."""


@dataclass(frozen=True)
class Outcome:
    """What a command said and left with."""

    code: int
    text: str

    def json(self) -> dict[str, object]:
        said: dict[str, object] = json.loads(self.text)
        return said


class Story:
    """Tells on stderr what is done and what comes of it. Raises Wrong."""

    def __init__(self, place: Place, listening: Listening) -> None:
        self._place = place
        self._listening = listening
        self.facts: dict[str, object] = {}

    def prepare(self) -> None:
        """The fleet's keys. Before anything else, and without a broker."""
        self.title("An operator makes the keys of a fleet")
        self.must(
            "fleet", "init", "--dir", self.fleet, "--name", FLEET, "--broker", self._place.broker
        )

    def first_model(self) -> None:
        self.title("A device without a model waits. The operator packs and pushes version 1")
        began_s = time.monotonic()
        self.push(versions.good(self._place.folder, "1"))
        heard = self._listening.wait_for(lambda heard: heard.runs("1"), PATIENCE_S)
        self.note(
            f"results of digits 1 arrive, {time.monotonic() - began_s:.1f} s after pack began"
        )
        self.facts["first_model"] = heard.digest

    def for_the_crowd(self) -> None:
        self.title("The simulated cameras get what has proved itself: first 1, then half of them 2")
        for version, wave in (("1", "100%"), ("2", "50%")):
            words = [CROWD_PIPELINE, "digits", version, "--wave", wave, "--trial", str(TRIAL_S)]
            self.must("fleet", "deploy", *words, "--dir", self.fleet)

    def second_model(self) -> None:
        self.title("Version 2 while frames flow: swapped between two frames")
        self.push(versions.good(self._place.folder, "2"))
        heard = self._listening.wait_for(lambda heard: heard.runs("2"), PATIENCE_S)
        gap_ms, lost = heard.swap_gap_ms("1", "2"), heard.frames_lost
        self.note(f"longest time between two results around the swap: {gap_ms:.0f} ms")
        self.expect(heard.phases("2")[-1:] == ["good"], f"2 went {heard.phases('2')}")
        self.facts |= {"swap_gap_ms": round(gap_ms, 1), "frames_lost_so_far": lost}

    def lying_model(self) -> None:
        self.title("Version 3 has golden answers of another model: pack says so, and a device too")
        folder = versions.lying(self._place.folder, "3")
        packed = self.run("fleet", "pack", str(folder), "--output", self.bundle("3"))
        self.expect(packed.code == 2, "pack took a model with wrong golden answers")
        self.note("so a careless script packs it by hand")
        pack = "import sys; from pathlib import Path; from models.bundle import pack; "
        pack += "pack(Path(sys.argv[1]), Path(sys.argv[2]))"
        subprocess.run(
            [sys.executable, "-c", pack, str(folder), self.bundle("3")], cwd=ROOT, check=True
        )
        pushed = self.run(*self.push_words("3"))
        self.expect(pushed.code == 1, f"push of 3 left with {pushed.code}")
        self.ended("3", "rejected", still="2")

    def slow_model(self) -> None:
        self.title("Version 4 answers rightly and far too late: it is tried, and rolled back")
        folder = versions.slow(self._place.folder, "4")
        self.must("fleet", "pack", str(folder), "--output", self.bundle("4"))
        pushed = self.run(*self.push_words("4"))
        self.expect(pushed.code == 1, f"push of 4 left with {pushed.code}")
        self.ended("4", "rolled_back", still="2")

    def ending(self) -> None:
        self.title("What the fleet runs now")
        self.must("fleet", "status", "--dir", self.fleet)

    def push(self, folder: Path) -> None:
        version = folder.name.rpartition("-")[2]
        self.must("fleet", "pack", str(folder), "--output", self.bundle(version))
        self.must(*self.push_words(version))

    def push_words(self, version: str) -> list[str]:
        words = ["fleet", "push", self.bundle(version), "--dir", self.fleet]
        return [*words, "--pipeline", PIPELINE, "--trial", str(TRIAL_S)]

    def ended(self, version: str, phase: str, still: str) -> None:
        """A version came to that end, the reason is told, and the one before runs."""
        heard = self._listening.wait_for(
            lambda heard: heard.phases(version)[-1:] == [phase], PATIENCE_S
        )
        reason = heard.reason(version)
        self.expect(bool(reason), f"{version} {phase} without a reason")
        heard = self._listening.wait_for(lambda heard: heard.runs(still), PATIENCE_S)
        self.note(f"the device runs {still}; of {version} it says: {reason}")
        self.facts[f"{version}_{phase}"] = reason

    @property
    def fleet(self) -> str:
        return str(self._place.fleet)

    def bundle(self, version: str) -> str:
        return str(self._place.folder / f"digits-{version}.zip")

    def must(self, *words: str) -> None:
        done = self.run(*words)
        self.expect(done.code == 0, f"vedette {words[0]} {words[1]} left with {done.code}")

    def run(self, *words: str) -> Outcome:
        """Run a command as an operator would type it; what it says is shown."""
        short = [word.replace(str(self._place.folder) + "/", "") for word in words]
        print(f"$ vedette {' '.join(short)}", file=sys.stderr, flush=True)
        done = subprocess.run(
            vedette(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=ROOT, env=ENVIRONMENT,
        )  # fmt: skip
        text = done.stdout.replace(str(self._place.folder) + "/", "")
        print(text, end="", file=sys.stderr, flush=True)
        return Outcome(done.returncode, done.stdout)

    def title(self, text: str) -> None:
        print(f"\n== {text}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        print(f"-- {text}", file=sys.stderr, flush=True)

    def expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise Wrong(otherwise)


def told(story: Story, steps: list[Callable[[], None]]) -> str | None:
    """Tell the steps. What went wrong, or None."""
    try:
        for step in steps:
            step()
    except (Wrong, TimeoutError) as wrong:
        story.note(f"WRONG: {wrong}")
        return str(wrong)
    return None
