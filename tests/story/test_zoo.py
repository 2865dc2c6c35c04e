"""The models that come with Vedette read held-out digits: by the book, and through the loop.

By the book: a float64 picture, the quantisation formula, one engine call, the outputs read as the
model card says. What the runtime adds (prepare, decode, loop) must not cost accuracy.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import models
from models import manifest
from models.manifest import Input
from runtime.cameras import Truthful, open_camera
from runtime.engines import BY_FORMAT, Engine, EngineOptions, TensorSpec, open_engine
from runtime.frames import Frame, packed
from runtime.locating import locate
from runtime.loop import Loop, Result
from runtime.opening import open_model
from runtime.score import Score
from runtime.tasks import Box, View
from tests.reference import sample_grid, to_rgb
from wire.troubles import Unavailable

Array = npt.NDArray[Any]
ZOO = Path(models.__file__).parent / "zoo"
CLASSIFIERS = [ZOO / "digits" / each for each in ("tflite", "onnx")]
DETECTORS = [ZOO / "digits-detect" / each for each in ("tflite", "onnx")]
ONE_DIGIT = "synthetic://320x240?digits=1&seed=4"
SEVERAL = "synthetic://320x240?digits=6&seed=4"
SAMPLES, SCENES = 450, 200
ONE_THREAD = EngineOptions(threads=1)


def named(folder: Path) -> str:
    return f"{folder.parent.name}-{folder.name}"


@dataclass(frozen=True)
class ByTheBook:
    """A model file and its input description; nothing of the runtime but the engine call."""

    engine: Engine
    wanted: Input

    def __call__(self, frame: Frame) -> tuple[list[Array], View]:
        """The real-valued outputs for a frame, and where its picture lies in the input."""
        wanted, width, height = self.wanted, frame.layout.width, frame.layout.height
        step = max(width / wanted.width, height / wanted.height)
        left, top = (width - wanted.width * step) / 2, (height - wanted.height * step) / 2
        view = View(width, height, left, top, step, step)
        real = sample_grid(to_rgb(frame), view, wanted) / 255
        stored = real if wanted.scale is None else np.rint(real / wanted.scale) + wanted.zero_point
        self.engine.input()[...] = stored.reshape(self.engine.input().shape)
        outputs = zip(self.engine.gives, self.engine.run(), strict=True)
        return [real_values(spec, each) for spec, each in outputs], view


def real_values(spec: TensorSpec, stored: Array) -> Array:
    if spec.scale is None:
        return stored.astype(np.float64)
    return (stored.astype(np.float64) - (spec.zero_point or 0)) * spec.scale


@pytest.fixture
def by_the_book(folder: Path) -> Iterator[ByTheBook]:
    described = manifest.load(folder)
    try:
        engine = open_engine(BY_FORMAT[described.format], folder / described.file, ONE_THREAD)
    except Unavailable as trouble:
        pytest.skip(str(trouble))
    yield ByTheBook(engine, described.input)
    engine.close()


def frames(uri: str, count: int) -> Iterator[tuple[Frame, tuple[Box, ...]]]:
    with open_camera(uri) as camera:
        assert isinstance(camera, Truthful)
        for _ in range(count):
            frame = camera.read(1)
            assert frame is not None
            with frame:
                yield frame, camera.truth(frame.seq)


def through_the_loop(folder: Path, uri: str, count: int) -> float:
    """Accuracy or mAP50 of results that came out of the runtime's loop."""
    score = Score()
    with locate(folder) as located, open_camera(uri) as camera:
        assert isinstance(camera, Truthful)
        truth = camera.truth

        def judge(result: Result) -> None:
            score.add(result.found, truth(result.seq))

        model = open_model(located, ONE_THREAD)
        loop = Loop(camera, model, judge)
        for _ in range(count):
            assert loop.step(1)
        model.engine.close()
    value = score.value()
    assert value is not None
    return value


@pytest.mark.parametrize("folder", CLASSIFIERS, ids=named)
def test_the_classifier_reads_held_out_digits(folder: Path, by_the_book: ByTheBook) -> None:
    right = 0
    for frame, (truth,) in frames(ONE_DIGIT, SAMPLES):
        (probabilities,), _ = by_the_book(frame)
        right += int(probabilities.argmax()) == truth.index
    assert right / SAMPLES >= 0.97
    assert through_the_loop(folder, ONE_DIGIT, SAMPLES) == pytest.approx(right / SAMPLES, abs=0.005)


@pytest.mark.parametrize("folder", CLASSIFIERS, ids=named)
def test_the_classifier_reads_bare_samples(folder: Path, by_the_book: ByTheBook) -> None:
    with np.load(ZOO / "digits-heldout.npz") as file:
        images, labels = file["images"], file["labels"]
    right = 0
    for image, label in zip(images, labels, strict=True):
        memory = np.rint(image * (255 / 16)).astype(np.uint8).reshape(-1)
        with Frame(0, 0, packed("GREY", 8, 8), memory, lambda: None) as frame:
            (probabilities,), _ = by_the_book(frame)
        right += int(probabilities.argmax()) == label
    assert right / len(labels) >= 0.97


@pytest.mark.parametrize("folder", CLASSIFIERS, ids=named)
@pytest.mark.parametrize(
    "uri", ["synthetic://1280x720?format=YUYV", "synthetic://640x480?format=NV12"]
)
def test_other_sizes_and_formats_read_as_well(folder: Path, uri: str) -> None:
    try:
        assert through_the_loop(folder, uri, SAMPLES) >= 0.97
    except Unavailable as trouble:
        pytest.skip(str(trouble))


@pytest.mark.parametrize("folder", DETECTORS, ids=named)
def test_the_detector_finds_held_out_digits(folder: Path, by_the_book: ByTheBook) -> None:
    decoding = manifest.load(folder).decoding
    found, truths = [], []
    for number, (frame, truth) in enumerate(frames(SEVERAL, SCENES)):
        outputs, view = by_the_book(frame)
        scores, edges = sorted(outputs, key=lambda each: -each.shape[-1])
        found += [
            (number, *each)
            for each in boxes_by_the_book(
                scores[0], edges[0], view, decoding.min_score, decoding.max_overlap
            )
        ]
        truths += [(number, box.index, corners(box)) for box in truth]
    offline = mean_average_precision(found, truths)
    assert offline >= 0.9
    assert through_the_loop(folder, SEVERAL, SCENES) == pytest.approx(offline, abs=0.005)


@pytest.mark.parametrize("folder", DETECTORS, ids=named)
def test_a_digit_is_found_once(folder: Path) -> None:
    """A second box on it, of another class, would be another thing to whoever tracks."""
    wrong = total = 0
    with locate(folder) as located:
        try:
            model = open_model(located, ONE_THREAD)
        except Unavailable as trouble:
            pytest.skip(str(trouble))
        for frame, truth in frames(SEVERAL, SCENES // 2):
            view = model.prepare(frame, model.engine.input())
            found = [box for box in model.decode(model.engine.run(), view) if isinstance(box, Box)]
            total += len(truth)
            wrong += max(0, len(found) - len(truth))
        model.engine.close()
    assert wrong <= total * 0.02


@pytest.mark.parametrize("folder", CLASSIFIERS + DETECTORS, ids=named)
def test_the_card_says_what_is_measured(folder: Path) -> None:
    card = manifest.load(folder).card
    assert card.summary
    assert card.licence
    assert card.accuracy
    for one in card.accuracy:
        uri = one.on.rpartition(", ")[2]
        assert one.metric == ("map50" if "detect" in folder.parent.name else "top1")
        try:
            measured = through_the_loop(folder, uri, one.samples or 0)
        except Unavailable as trouble:
            pytest.skip(str(trouble))
        assert one.value == pytest.approx(measured, abs=0.005), uri


def test_the_readme_shows_the_digest_of_what_is_shipped() -> None:
    with locate(ZOO / "digits" / "tflite") as located:
        digest = located.digest
    text = (ZOO.parent.parent / "README.md").read_text(encoding="utf-8")
    assert f"  digest  {digest}\n" in text
    assert f"\ndigits 1 ({digest[:16]}) with litert" in text


Corners = tuple[float, float, float, float]


def corners(box: Box) -> Corners:
    return box.x, box.y, box.x + box.width, box.y + box.height


def boxes_by_the_book(
    scores: Array, edges: Array, view: View, min_score: float, max_overlap: float
) -> list[tuple[int, float, Corners]]:
    """(class, score, corners in the frame) of the boxes that no better one covers."""
    candidates = []
    for row, column, index in np.argwhere(scores >= min_score):
        left, top, right, bottom = edges[row, column] * 8
        x, y = column * 8 + 4, row * 8 + 4
        place = (x - left, y - top, x + right, y + bottom)
        in_frame = tuple(
            min(max(start + each * step, 0.0), side)
            for each, start, step, side in zip(
                place,
                (view.x0, view.y0) * 2,
                (view.step_x, view.step_y) * 2,
                (view.source_width, view.source_height) * 2,
                strict=True,
            )
        )
        candidates.append((int(index), float(scores[row, column, index]), in_frame))
    kept: list[tuple[int, float, Any]] = []
    for one in sorted(candidates, key=lambda each: -each[1]):
        if all(overlap(one[2], each[2]) <= max_overlap for each in kept):
            kept.append(one)
    return kept


def overlap(one: Corners, other: Corners) -> float:
    """Intersection over union."""
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, across) * max(0.0, down)
    areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (one, other)]
    return shared / (sum(areas) - shared)


def mean_average_precision(
    found: list[tuple[int, int, float, Corners]], truths: list[tuple[int, int, Corners]]
) -> float:
    """mAP at IoU 0.5: precision at each recall level is the best one at that level or beyond."""
    values = []
    for index in sorted({truth[1] for truth in truths}):
        left = [truth for truth in truths if truth[1] == index]
        total, hits, points = len(left), 0, []
        ranked = sorted((each for each in found if each[1] == index), key=lambda each: -each[2])
        for rank, (frame, _, _, place) in enumerate(ranked, 1):
            rivals = [truth for truth in left if truth[0] == frame]
            best = max(rivals, key=lambda truth: overlap(truth[2], place), default=None)
            if best is not None and overlap(best[2], place) >= 0.5:
                left.remove(best)
                hits += 1
                points.append((rank, hits))
        precisions = [hits / rank for rank, hits in points]
        values.append(sum(max(precisions[k:]) for k in range(len(precisions))) / total)
    return float(np.mean(values))


@pytest.mark.parametrize("folder", CLASSIFIERS + DETECTORS, ids=named)
def test_the_files_are_small_and_keep_their_manifests(folder: Path) -> None:
    described = manifest.load(folder)
    assert (folder / described.file).stat().st_size < 500_000
    assert 3 <= len(described.golden) <= 5
    assert {each.name for each in folder.iterdir()} == set(described.files)
    checked = subprocess.run(
        [sys.executable, "-m", "runtime", "check", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_held_out_digits_are_what_they_say() -> None:
    """Where scikit-learn is: its own samples, at the places that are named, a quarter of them."""
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits()
    with np.load(ZOO / "digits-heldout.npz") as file:
        assert np.array_equal(digits.images[file["index"]], file["images"])
        assert np.array_equal(digits.target[file["index"]], file["labels"])
        assert len(set(file["index"].tolist())) == len(file["index"]) == SAMPLES
