"""A store after a power cut at any moment: all of a step shows or nothing; again finishes it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from models import bundle
from models.pipelines import PipelineState
from models.store import Store
from tests.model_folder import make_folder
from tests.power.cuts import Cut, check_complete, cuts, laid, scratch, told
from tests.power.recorder import STRACE, Recording, record
from tests.power.store_life import STEPS, Models, damaged
from tests.rounds import rounds

pytestmark = pytest.mark.skipif(STRACE is None, reason="needs strace: run scripts/setup")


@dataclass(frozen=True)
class Life:
    models: Models
    recording: Recording


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    with scratch() as place:
        paths, digests = [], []
        for name in ("a", "b", "c"):
            folder = make_folder(place / name, f"model {name}".encode() * 200)
            paths.append(place / f"{name}.zip")
            digests.append(bundle.pack(folder, paths[-1]))
        (place / "stores").mkdir()
        argv = ["-m", "tests.power.store_life", str(place / "stores"), *map(str, paths)]
        recording = record([sys.executable, *argv], place / "stores", place)
        check_complete(recording, place / "stores")
        yield Life(Models(tuple(paths), tuple(digests)), recording)


Told = tuple[PipelineState, tuple[str, ...]]


def told_by(root: Path) -> Told:
    """Everything that a store says, without the random names of attempts."""
    store = Store(root)
    state = store.pipeline("door")
    if state.trial:
        plain = msgspec.structs.replace(state.trial, attempt="")
        state = msgspec.structs.replace(state, trial=plain)
    return state, tuple(sorted(store.installed()))


def check_whole(root: Path) -> None:
    """Whatever happened: what runs is there, whole, and watched unless it is good."""
    store = Store(root)
    state = store.pipeline("door")
    assert not state.problems
    for digest in store.installed():
        assert bundle.folder_digest(store.folder(digest)) == digest
    assert {state.active, state.good} <= {None, *store.installed()}
    assert state.active is None or state.rejection(state.active) is None
    assert (state.trial is None) == (state.active == state.good)


def when_said(every: list[Cut], mark: str) -> Told:
    """What the store said, with power, when the process said that."""
    first = next(cut for cut in every if mark in cut.marks and cut.words.endswith("all kept"))
    with laid(first.tree) as root:
        return told_by(root)


@pytest.mark.parametrize("name", STEPS)
def test_power_cut_in(name: str, life: Life) -> None:
    begins, ends = f"{name} begins", f"{name} ends"
    every = list(cuts(life.recording, name, rounds(4), f"{name} "))
    before, after = when_said(every, begins), when_said(every, ends)
    ours = [cut for cut in every if begins in cut.marks]
    assert len(ours) >= 4
    for cut in ours:
        with told(cut), laid(cut.tree) as root:
            if STEPS[name].prepare is not damaged:  # what was broken before may be so still
                check_whole(root)
                state, installed = told_by(root)
                is_done = ends in cut.marks
                assert state in ((after[0],) if is_done else (before[0], after[0]))
                assert set(before[1]) & set(after[1]) <= set(installed)
                assert set(installed) <= set(before[1]) | set(after[1])
            again(name, root, life.models, after)


def again(name: str, root: Path, models: Models, after: Told) -> None:
    if name == "count-start" and Store(root).pipeline("door").starts == after[0].starts:
        return  # it was counted; a second one counts again
    STEPS[name].take(Store(root), models)
    check_whole(root)
    assert told_by(root) == after
    strays = {path.name for path in root.rglob(".*") if path.is_file() or path.is_dir()}
    assert name not in ("install-first", "repair") or strays <= {".lock", ".comers.lock"}, strays
