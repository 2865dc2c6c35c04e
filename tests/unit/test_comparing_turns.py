"""Models in processes of their own that take turns: figures of some, words for the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.bundle import pack
from runtime.cameras import open_camera
from runtime.engines import EngineOptions
from runtime.locating import ZOO
from runtime.suite import Machine
from tests.graphs import tflite_hostile
from tests.graphs.tflite_tiny import colours
from workshop.comparing.figures import NAMES, figures_of
from workshop.comparing.names import Named
from workshop.comparing.results import FORM, Compared, Comparison, OnDevice, SampleSet
from workshop.comparing.turns import MOST_FRAMES, ROUNDS, Kept, Timed, in_turns


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """More frames than are kept."""
    kept = Kept(tmp_path / "frames")
    with open_camera("synthetic://64x48?format=NV12&padding=8") as camera:
        for _ in range(MOST_FRAMES + 3):
            frame = camera.read(1)
            assert frame is not None
            with frame:
                kept.keep(frame)
    return kept


def test_one_that_crashes_or_is_not_there_costs_the_others_nothing(
    kept: Kept, tmp_path: Path
) -> None:
    assert len(kept.layouts) == MOST_FRAMES
    assert kept.path.stat().st_size == sum(each.nbytes for each in kept.layouts)
    colours(tmp_path / "colours.tflite")
    deadly = tflite_hostile.crash_on_run(tmp_path / "deadly.tflite")
    models = [
        Named("zoo", ZOO / "digits" / "onnx", None),
        Named("deadly", deadly, None),
        Named("gone", tmp_path / "gone.onnx", None),
        Named("colours", tmp_path / "colours.tflite", None),
    ]
    heard: list[int] = []
    zoo, crashed, gone, other = in_turns(
        models, EngineOptions(threads=1), (kept.path, kept.layouts), 0.05,
        lambda done, total: heard.append(done),
    )  # fmt: skip
    assert heard == list(range(1, ROUNDS + 1))
    for sound in (zoo, other):
        assert sound.trouble is None and sound.latency is not None and sound.memory is not None
        assert sound.latency.runs >= ROUNDS and sound.latency.runs % ROUNDS == 0
        assert sound.memory.peak_mib > sound.memory.before_mib > 1
    assert crashed.trouble is not None and "crashes its engine" in crashed.trouble
    assert gone == Timed(None, None, gone.trouble) and "there is no model" in str(gone.trouble)


def test_every_figure_has_its_name() -> None:
    machine = Machine("a board", 1, "Linux", "3.11", "1", "now", 0.0)
    bare = Compared("bare", "bare")
    bench = OnDevice("door", "lane", "bare", fps=30.0)
    told = Comparison(FORM, machine, 1, SampleSet("s", 1, "none", ""), "bare", (bare,), (bench,))
    figures = figures_of(told)["bare"]
    assert set(figures) <= set(NAMES)
    assert figures["device_fps"] == {"door/lane": 30.0}
    assert figures["size_bytes"] is None and figures["agreement"] is None


def test_what_was_unpacked_goes_with_the_process(
    kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, bundle = tmp_path / "temporary", tmp_path / "digits.zip"
    folder.mkdir()
    pack(ZOO / "digits" / "tflite", bundle)
    monkeypatch.setenv("TMPDIR", str(folder))
    options = EngineOptions(threads=1)
    (timed,) = in_turns([Named("a", bundle, None)], options, (kept.path, kept.layouts), 0.05)
    assert timed.trouble is None
    assert not list(folder.iterdir())
