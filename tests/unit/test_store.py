"""The store: what a pipeline runs, tries and refuses, as the agent and the runtime see it."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models import bundle
from models.changes import MOST_REJECTIONS
from models.pipelines import Trial
from models.store import Store
from tests.model_folder import make_folder
from wire.troubles import Refused, Unavailable

PROJECT = Path(__file__).parents[2]
UNKNOWN = "0" * 64


def packed(tmp_path: Path, name: str) -> Path:
    """A bundle of a model of its own."""
    target = tmp_path / f"{name}.zip"
    bundle.pack(make_folder(tmp_path / f"model-{name}", name.encode() * 50), target)
    return target


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def three(store: Store, tmp_path: Path) -> tuple[str, ...]:
    """The digests of three installed models."""
    return tuple(store.install(packed(tmp_path, name)) for name in "abc")


def trial(digest: str) -> Trial:
    return Trial(digest, length_s=60, first_result_s=5)


def test_an_empty_store_runs_nothing(store: Store, tmp_path: Path) -> None:
    state = store.pipeline("door")
    assert (state.active, state.good, state.trial, state.rejected) == (None, None, None, ())
    assert (state.problems, store.installed(), store.pipelines()) == ((), (), ())
    assert store.collect(keep=0) == ()
    with pytest.raises(Unavailable, match="no active model"):
        store.count_start("door")


def test_a_model_is_installed_once_under_its_digest(store: Store, tmp_path: Path) -> None:
    path = packed(tmp_path, "a")
    digest = store.install(path)
    assert digest == bundle.inspect(path).digest
    first = os.stat(store.folder(digest)).st_ino
    assert store.install(path) == digest
    assert os.stat(store.folder(digest)).st_ino == first, "not unpacked again"
    assert store.installed() == (digest,)
    assert bundle.folder_digest(store.folder(digest)) == digest
    with pytest.raises(Unavailable, match="not installed"):
        store.folder(UNKNOWN)


def test_a_damaged_model_is_repaired_by_installing_it_again(
    store: Store, three: tuple[str, ...], tmp_path: Path
) -> None:
    store.activate("door", trial(three[0]))
    (store.folder(three[0]) / "m.tflite").write_bytes(b"rotten")
    store.install(tmp_path / "a.zip")
    assert bundle.folder_digest(store.folder(three[0])) == three[0]
    assert store.pipeline("door").active == three[0]


def test_a_bad_bundle_leaves_nothing(store: Store, tmp_path: Path) -> None:
    bad = tmp_path / "bad.zip"
    bad.write_bytes(packed(tmp_path, "a").read_bytes()[:-1])
    with pytest.raises(Refused, match=r"bad\.zip"):
        store.install(bad)
    assert store.installed() == ()
    assert not os.listdir(tmp_path / "store" / "digests")


def test_the_life_of_a_good_model(store: Store, three: tuple[str, ...]) -> None:
    a, b, _ = three
    store.activate("door", trial(a))
    state = store.pipeline("door")
    assert (state.active, state.good) == (a, None)
    assert state.trial is not None
    assert (state.trial.digest, state.trial.length_s, state.trial.elapsed_s) == (a, 60, 0)
    store.progress("door", a, 12.5)
    state = store.pipeline("door")
    assert state.trial is not None
    assert state.trial.elapsed_s == 12.5
    store.mark_good("door", a)
    state = store.pipeline("door")
    assert (state.active, state.good, state.trial) == (a, a, None)
    store.activate("door", trial(b))
    state = store.pipeline("door")
    assert (state.active, state.good) == (b, a)
    store.mark_good("door", b)
    assert store.pipeline("door").good == b


def test_a_bad_model_is_left_and_not_tried_again(store: Store, three: tuple[str, ...]) -> None:
    a, b, _ = three
    store.activate("door", trial(a))
    store.mark_good("door", a)
    store.activate("door", trial(b))
    for _ in range(2):  # doing it again changes nothing
        store.rollback("door", b, "p95 was 90 ms,\nallowed are 30")
        state = store.pipeline("door")
        assert (state.active, state.good, state.trial) == (a, a, None)
        assert [(one.digest, one.reason) for one in state.rejected] == [
            (b, "p95 was 90 ms,?allowed are 30")
        ]
    with pytest.raises(Refused, match="p95 was 90 ms"):
        Store(store.folder(b).parents[1]).activate("door", trial(b))
    store.forgive("door", b)
    store.activate("door", trial(b))
    assert store.pipeline("door").active == b


def test_with_no_good_model_a_roll_back_leaves_none(store: Store, three: tuple[str, ...]) -> None:
    store.activate("door", trial(three[0]))
    store.rollback("door", three[0], "crashed")
    state = store.pipeline("door")
    assert (state.active, state.good) == (None, None)
    rejection = state.rejection(three[0])
    assert rejection is not None
    assert rejection.reason == "crashed"


def test_the_third_start_is_seen_by_both_sides(store: Store, three: tuple[str, ...]) -> None:
    a, b, _ = three
    store.activate("door", trial(a))
    assert [store.count_start("door") for _ in range(3)] == [1, 2, 3]
    assert store.pipeline("door").starts == 3
    store.activate("door", trial(b))
    assert store.pipeline("door").starts == 0, "starts are those of one model"
    assert store.count_start("door") == 1
    store.rollback("door", b, "crashed")
    store.forgive("door", b)
    store.activate("door", trial(b))
    assert store.count_start("door") == 1, "and of one attempt with it"
    store.activate("door", trial(b))
    assert store.pipeline("door").starts == 1, "asking again is no new attempt"
    store.mark_good("door", b)
    assert store.count_start("door") == 0, "a good model is not counted"


def test_steps_that_make_no_sense_are_refused(store: Store, three: tuple[str, ...]) -> None:
    a, b, _ = three
    store.activate("door", trial(a))
    store.mark_good("door", a)
    with pytest.raises(Refused, match="is the good model"):
        store.rollback("door", a, "why not")
    with pytest.raises(Refused, match="does not run"):
        store.mark_good("door", b)
    with pytest.raises(Refused, match="roll it back instead"):
        store.reject("door", a, "why not")
    with pytest.raises(Refused, match=r"no model .* on trial"):
        store.progress("door", a, 1.0)
    with pytest.raises(Unavailable, match="not installed"):
        store.activate("door", trial(UNKNOWN))
    with pytest.raises(Refused, match=r"trial\.json cannot hold"):
        store.activate("door", Trial(b, length_s=math.nan, first_result_s=5))
    assert store.pipeline("door").active == a


@pytest.mark.parametrize("name", ["", "..", "a/b", "/etc", "a\n", "a" * 65, "ä", "a.b", "\x1b[2J"])
def test_names_that_cannot_be_are_refused(store: Store, name: str) -> None:
    for act in (store.pipeline, store.count_start, store.folder):
        with pytest.raises(Refused):
            act(name)
    with pytest.raises(Refused):
        store.reject(name, UNKNOWN, "no")
    with pytest.raises(Refused):
        store.reject("door", name, "no")


def test_collect_keeps_what_is_named_and_the_newest(store: Store, tmp_path: Path) -> None:
    a, b, c, d, e = (store.install(packed(tmp_path, name)) for name in "abcde")
    store.activate("door", trial(b))
    store.mark_good("door", b)
    store.activate("door", trial(c))
    store.install(tmp_path / "a.zip")
    assert store.installed() == (b, c, d, e, a)
    assert store.collect(keep=2) == (d,)
    assert store.installed() == (b, c, e, a)
    assert store.collect(keep=0) == (e, a)
    store.rollback("door", c, "slow")
    assert store.collect(keep=0) == (c,)
    assert store.pipeline("door").active == b


def test_only_one_process_changes_a_store_and_many_read_it(
    store: Store, three: tuple[str, ...], tmp_path: Path
) -> None:
    store.activate("door", trial(three[0]))
    script = (
        "import fcntl, sys\nf = open(sys.argv[1])\nfcntl.flock(f, 2)\nprint(1, flush=True)\ninput()"
    )
    lock = str(tmp_path / "store" / ".lock")
    argv = [sys.executable, "-c", script, lock]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(Unavailable, match="another process"):
            store.mark_good("door", three[0])
        assert store.pipeline("door").active == three[0]
        assert store.count_start("door") == 1
        other.kill()
    store.mark_good("door", three[0])


def overwrite(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def make_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def make_link(path: Path, target: str) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(target)


DAMAGE: dict[str, tuple[str, Callable[[Path], None]]] = {
    "half a trial": ("trial.json", lambda path: overwrite(path, b'[{"digest":')),
    "a trial of zeros": ("trial.json", lambda path: overwrite(path, bytes(4096))),
    "no trial": ("trial.json", lambda path: overwrite(path, b"")),
    "a deep trial": ("trial.json", lambda path: overwrite(path, b"[" * 200_000)),
    "a trial of something else": ("trial.json", lambda path: overwrite(path, b'[{"digest":1}]')),
    "a pipe for a trial": ("trial.json", make_pipe),
    "a vast file": ("rejected.json", lambda path: overwrite(path, b" " * 10_000_000)),
    "not UTF-8": ("rejected.json", lambda path: overwrite(path, b'[{"reason":"\xff"}]')),
    "a bad count": ("../../starts/door", lambda path: overwrite(path, b"-1")),
    "a file for a link": ("active", lambda path: overwrite(path, b"../../digests/x")),
    "a link elsewhere": ("active", lambda path: make_link(path, "/etc")),
    "a link upwards": ("good", lambda path: make_link(path, "../../digests/../../../etc")),
    "a link to nothing": ("good", lambda path: make_link(path, f"../../digests/{UNKNOWN}")),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_reads_as_absent_and_is_said(
    store: Store, three: tuple[str, ...], tmp_path: Path, name: str
) -> None:
    a, b, c = three
    store.activate("door", trial(a))
    store.mark_good("door", a)
    store.reject("door", c, "no")
    store.activate("door", trial(b))
    store.count_start("door")
    file, damage = DAMAGE[name]
    damage(tmp_path / "store" / "pipelines" / "door" / file)
    state = store.pipeline("door")
    assert len(state.problems) == 1
    assert Path(file).name in state.problems[0]
    assert state.problems[0].isprintable()
    for step in (  # and the pipeline can be brought to order again
        lambda: store.activate("door", trial(a)),
        lambda: store.mark_good("door", a),
        lambda: store.reject("door", c, "no"),
        lambda: store.activate("door", trial(b)),
        lambda: store.count_start("door"),
        lambda: store.rollback("door", b, "slow"),
    ):
        step()
    assert store.pipeline("door").active == a
    assert not store.pipeline("door").problems


def test_a_link_that_leaves_the_store_is_not_followed(
    store: Store, three: tuple[str, ...], tmp_path: Path
) -> None:
    """Not even when it ends in the name of a model that is installed."""
    store.activate("door", trial(three[0]))
    make_link(tmp_path / "store" / "pipelines" / "door" / "active", f"/tmp/{three[0]}")  # noqa: S108
    state = store.pipeline("door")
    assert state.active is None
    assert "which is no model" in state.problems[0]


def test_a_trial_that_cannot_be_read_is_still_counted(
    store: Store, three: tuple[str, ...], tmp_path: Path
) -> None:
    """Else a model that takes the board down could do so for ever."""
    store.activate("door", trial(three[0]))
    overwrite(tmp_path / "store" / "pipelines" / "door" / "trial.json", b"garbage")
    assert [store.count_start("door"), store.count_start("door")] == [1, 2]
    assert store.pipeline("door").starts == 2


def test_a_full_disk_does_not_keep_a_bad_model_running(
    store: Store, three: tuple[str, ...], tmp_path: Path
) -> None:
    store.activate("door", trial(three[0]))
    rejected = tmp_path / "store" / "pipelines" / "door" / "rejected.json"
    rejected.mkdir()  # nothing can be written there, as on a full disk
    with pytest.raises(Unavailable, match="rejected"):
        store.rollback("door", three[0], "crashed")
    assert store.pipeline("door").active is None
    rejected.rmdir()
    store.rollback("door", three[0], "crashed")
    assert store.pipeline("door").rejection(three[0]) is not None


def test_rejections_are_bounded(store: Store, tmp_path: Path) -> None:
    for number in range(MOST_REJECTIONS + 3):
        store.reject("door", f"{number:064x}", "x" * 5000)
    rejected = store.pipeline("door").rejected
    assert len(rejected) == MOST_REJECTIONS
    assert rejected[-1].digest == f"{MOST_REJECTIONS + 2:064x}"
    assert (tmp_path / "store" / "pipelines" / "door" / "rejected.json").stat().st_size < 60_000


def test_the_files_are_readable_by_people(
    store: Store, three: tuple[str, ...], tmp_path: Path
) -> None:
    store.activate("door", trial(three[0]))
    place = tmp_path / "store" / "pipelines" / "door"
    assert os.readlink(place / "active") == f"../../digests/{three[0]}"
    assert json.loads((place / "trial.json").read_text())[0]["length_s"] == 60
    shutil.move(tmp_path / "store", tmp_path / "moved")
    assert Store(tmp_path / "moved").pipeline("door").active == three[0], "links are relative"


@given(content=st.binary(max_size=100), file=st.sampled_from(["trial.json", "rejected.json"]))
def test_garbage_never_crashes_a_reader(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, file: str
) -> None:
    root = tmp_path_factory.getbasetemp() / "garbage"
    (root / "pipelines" / "door").mkdir(parents=True, exist_ok=True)
    (root / "pipelines" / "door" / file).write_bytes(content)
    state = Store(root).pipeline("door")
    assert state.active is None
    assert all(problem.isprintable() for problem in state.problems)
