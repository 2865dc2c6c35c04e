"""A store survives kill -9 and power cuts at every step, and doing it again finishes the step."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from models import bundle
from models.pipelines import PipelineState, Trial
from models.store import Store
from tests.model_folder import make_folder
from tests.story.store_steps import operate

PROJECT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Models:
    """Bundles of three models, and their digests."""

    paths: tuple[Path, ...]
    digests: tuple[str, ...]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder in memory where there is one: an fsync means the same there, and costs nothing."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh folder in it
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    place = tmp_path_factory.mktemp("bundles")
    paths, digests = [], []
    for name in ("a", "b", "c"):
        folder = make_folder(place / name, f"model {name}".encode() * 100)
        paths.append(place / f"{name}.zip")
        digests.append(bundle.pack(folder, paths[-1]))
    return Models(tuple(paths), tuple(digests))


def trial(digest: str) -> Trial:
    return Trial(digest, length_s=60, first_result_s=5)


def empty(root: Path, models: Models) -> None:
    root.mkdir()


def three(root: Path, models: Models) -> None:
    """A, B and C are installed; nothing runs."""
    for path in models.paths:
        Store(root).install(path)


def damaged(root: Path, models: Models) -> None:
    """B runs on trial, and its file was damaged on disk."""
    on_trial(root, models)
    (root / "digests" / models.digests[1] / "m.tflite").write_bytes(b"rotten")


def first_trial(root: Path, models: Models) -> None:
    """A runs on trial, nothing is good."""
    three(root, models)
    Store(root).activate("door", trial(models.digests[0]))
    Store(root).count_start("door")


def good(root: Path, models: Models) -> None:
    """A runs and is good."""
    first_trial(root, models)
    Store(root).mark_good("door", models.digests[0])


def on_trial(root: Path, models: Models) -> None:
    """A is good; B runs on trial and was started twice. C was rejected long ago."""
    good(root, models)
    store = Store(root)
    store.reject("door", models.digests[2], "no memory")
    store.activate("door", trial(models.digests[1]))
    store.count_start("door")
    store.count_start("door")
    store.progress("door", models.digests[1], 3.0)


def rolled_back(root: Path, models: Models) -> None:
    """A is good and runs again; B was rolled back."""
    on_trial(root, models)
    Store(root).rollback("door", models.digests[1], "too slow")


STEPS = {
    "install the first": (empty, "install", "bundle 0"),
    "install again": (three, "install", "bundle 1"),
    "repair": (damaged, "install", "bundle 1"),
    "activate the first": (three, "activate", "digest 0"),
    "activate another": (good, "activate", "digest 1"),
    "activate in a trial": (first_trial, "activate", "digest 1"),
    "go back to the good by hand": (on_trial, "activate", "digest 0"),
    "progress": (on_trial, "progress", "digest 1"),
    "count a start": (on_trial, "count_start", ""),
    "mark the first good": (first_trial, "mark_good", "digest 0"),
    "mark another good": (on_trial, "mark_good", "digest 1"),
    "roll back": (on_trial, "rollback", "digest 1"),
    "roll back to nothing": (first_trial, "rollback", "digest 0"),
    "reject": (good, "reject", "digest 2"),
    "forgive": (rolled_back, "forgive", "digest 1"),
    "collect": (good, "collect", "1"),
}


def argument(words: str, models: Models) -> list[str]:
    kind, _, number = words.partition(" ")
    if kind == "bundle":
        return [str(models.paths[int(number)])]
    return [models.digests[int(number)]] if kind == "digest" else [words] if words else []


def told(root: Path) -> tuple[PipelineState, tuple[str, ...]]:
    """Everything that a store says, without the random names of attempts."""
    store = Store(root)
    state = store.pipeline("door")
    if state.trial:
        state = msgspec.structs.replace(
            state, trial=msgspec.structs.replace(state.trial, attempt="")
        )
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


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_dying_at_any_moment_of(name: str, place: Path, models: Models) -> None:
    prepare, operation, words = STEPS[name]
    arguments = argument(words, models)
    prepare(place / "start", models)
    shutil.copytree(place / "start", place / "end", symlinks=True)
    operate(Store(place / "end"), operation, *arguments)
    before, after = told(place / "start"), told(place / "end")
    argv = ["-m", "tests.story.store_steps", str(place / "start"), str(place / "cuts")]
    subprocess.run([sys.executable, *argv, operation, *arguments], cwd=PROJECT, check=True)
    for kind in ("killed", "lost", "hollow"):
        assert told(place / "cuts" / "end" / kind) == after, "what was done is there for good"
    moments = [path for path in (place / "cuts").iterdir() if path.name != "end"]
    assert len(moments) >= 8
    for moment in moments:
        for kind in ("killed", "lost", "hollow"):
            check_survivor(moment / kind, prepare is damaged, before, after)
            repeat(moment / kind, operation, arguments, after)


def check_survivor(
    root: Path,
    was_damaged: bool,
    before: tuple[PipelineState, tuple[str, ...]],
    after: tuple[PipelineState, tuple[str, ...]],
) -> None:
    state, installed = told(root)
    if was_damaged:  # what was broken before may be so still
        return
    check_whole(root)
    assert state in (before[0], after[0]), "all of the step shows, or nothing"
    assert set(before[1]) & set(after[1]) <= set(installed) <= set(before[1]) | set(after[1])


def repeat(
    root: Path,
    operation: str,
    arguments: list[str],
    after: tuple[PipelineState, tuple[str, ...]],
) -> None:
    if operation == "count_start" and Store(root).pipeline("door").starts == after[0].starts:
        return  # it was counted; a second one counts again
    operate(Store(root), operation, *arguments)
    check_whole(root)
    assert told(root) == after
    left = (
        [path.name for path in (root / "digests").glob(".*")] if (root / "digests").exists() else []
    )
    assert operation != "install" or not left, "nothing half unpacked stays"
