"""Does everything that a store can do, each thing in a store of its own. Run by test_store.

    python -m tests.power.store_life FOLDER BUNDLE BUNDLE BUNDLE

Says `STEP begins` when FOLDER/STEP is prepared, and `STEP ends` when the step was taken there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models import bundle
from models.pipelines import Trial
from models.store import Store
from tests.power.recorder import mark


@dataclass(frozen=True)
class Models:
    """Bundles of three models, and their digests."""

    paths: tuple[Path, ...]
    digests: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """prepare: makes what is there before. take: may be done again after a power cut."""

    prepare: Callable[[Store, Models], None]
    take: Callable[[Store, Models], object]


def trial(digest: str) -> Trial:
    return Trial(digest, length_s=60, first_result_s=5)


def empty(store: Store, models: Models) -> None:
    """Nothing is there."""


def three(store: Store, models: Models) -> None:
    """A, B and C are installed; nothing runs."""
    for path in models.paths:
        store.install(path)


def damaged(store: Store, models: Models) -> None:
    """B runs on trial, and its file was damaged on disk."""
    on_trial(store, models)
    (store.folder(models.digests[1]) / "m.tflite").write_bytes(b"rotten")


def first_trial(store: Store, models: Models) -> None:
    """A runs on trial, nothing is good."""
    three(store, models)
    store.activate("door", trial(models.digests[0]))
    store.count_start("door")


def good(store: Store, models: Models) -> None:
    """A runs and is good."""
    first_trial(store, models)
    store.mark_good("door", models.digests[0])


def on_trial(store: Store, models: Models) -> None:
    """A is good; B runs on trial and was started twice. C was rejected long ago."""
    good(store, models)
    store.reject("door", models.digests[2], "no memory")
    store.activate("door", trial(models.digests[1]))
    store.count_start("door")
    store.count_start("door")
    store.progress("door", models.digests[1], 3.0)


def rolled_back(store: Store, models: Models) -> None:
    """A is good and runs again; B was rolled back."""
    on_trial(store, models)
    store.rollback("door", models.digests[1], "too slow")


def install(number: int) -> Callable[[Store, Models], object]:
    return lambda store, models: store.install(models.paths[number])


def activate(number: int) -> Callable[[Store, Models], object]:
    return lambda store, models: store.activate("door", trial(models.digests[number]))


def mark_good(number: int) -> Callable[[Store, Models], object]:
    return lambda store, models: store.mark_good("door", models.digests[number])


def roll_back(number: int) -> Callable[[Store, Models], object]:
    return lambda store, models: store.rollback("door", models.digests[number], "too slow")


STEPS = {
    "install-first": Step(empty, install(0)),
    "install-again": Step(three, install(1)),
    "repair": Step(damaged, install(1)),
    "activate-first": Step(three, activate(0)),
    "activate-another": Step(good, activate(1)),
    "activate-in-trial": Step(first_trial, activate(1)),
    "activate-the-good": Step(on_trial, activate(0)),
    "progress": Step(on_trial, lambda s, m: s.progress("door", m.digests[1], 7.5)),
    "count-start": Step(on_trial, lambda s, m: s.count_start("door")),
    "mark-first-good": Step(first_trial, mark_good(0)),
    "mark-another-good": Step(on_trial, mark_good(1)),
    "roll-back": Step(on_trial, roll_back(1)),
    "roll-back-to-nothing": Step(first_trial, roll_back(0)),
    "reject": Step(good, lambda s, m: s.reject("door", m.digests[2], "wrong answers")),
    "forgive": Step(rolled_back, lambda s, m: s.forgive("door", m.digests[1])),
    "collect": Step(good, lambda s, m: s.collect(1)),
}


def models_of(paths: list[str]) -> Models:
    return Models(tuple(map(Path, paths)), tuple(bundle.inspect(Path(p)).digest for p in paths))


def main(folder: Path, models: Models) -> None:
    for name, step in STEPS.items():
        (folder / name).mkdir()
        store = Store(folder / name)
        step.prepare(store, models)
        mark(f"{name} begins")
        step.take(store, models)
        mark(f"{name} ends")


if __name__ == "__main__":
    main(Path(sys.argv[1]), models_of(sys.argv[2:]))
