"""What every task promises: the truth of a picture, whole way round, in plain values.

Each is held to a graph whose answer is known, run by a real engine on a picture that was painted.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from models import manifest
from models.manifest import Decoding, Golden, Input, Manifest
from runtime.differing import differs
from runtime.draw import draw
from runtime.engines import EngineOptions
from runtime.golden import answer, read_answer
from runtime.locating import locate
from runtime.loop import Model
from runtime.opening import open_model
from runtime.tasks import Entry, Instance, Pose, Region, Vector, View
from runtime.things import thing
from tests.graphs import onnx_tasks
from tests.graphs.onnx_tasks import BIAS, CLASSES
from tests.naive import Array, cells_of
from wire.results import Thing

WIDE, HIGH = 320, 240  # of the picture; the models take half of that
EATS = Input(WIDE // 2, HIGH // 2, "rgb", "NCHW", "float32", std=(255.0,))
RED, GREEN, BLUE = (0, 0, 255), (0, 255, 0), (255, 0, 0)  # as OpenCV has them
# left, top, right, bottom: even, so that shrinking to a half mixes nothing
PLACES = {RED: (40, 32, 120, 112), GREEN: (160, 48, 296, 96), BLUE: (64, 144, 192, 224)}
MOST_BYTES = 120_000  # that a frame may have allocated at a time
SAMPLE = Golden("a.png", "a.json", tolerance=0.02, min_overlap=0.95, min_cosine=0.999)


@dataclass(frozen=True)
class Case:
    """One head: how its graph is built, what its manifest says, and the truth of the picture."""

    task: Any
    build: Callable[[Path], Path]
    decoding: Decoding
    check: Callable[[Any], None]
    labels: tuple[str, ...] = ()


def painted() -> Array:
    """(240, 320, 3) BGR: three rectangles on grey."""
    picture = np.full((HIGH, WIDE, 3), 128, np.uint8)
    for colour, (left, top, right, bottom) in PLACES.items():
        picture[top:bottom, left:right] = colour
    return picture


def model_of(case: Case, folder: Path) -> Model:
    folder.mkdir(exist_ok=True)
    case.build(folder / "m.onnx")
    labels = "labels.txt" if case.labels else None
    if labels:
        (folder / labels).write_text("\n".join(case.labels))
    said = Manifest(1, "m", "1", case.task, "onnx", "m.onnx", EATS, decoding=case.decoding,
                    labels=labels)  # fmt: skip
    manifest.write(folder, said)
    with locate(folder) as located:
        return open_model(located, EngineOptions(threads=1))


def check_regions(found: tuple[Region, ...]) -> None:
    assert [each.label for each in found] == ["blue", "green", "red"]  # the largest first
    colours = dict(zip(("red", "green", "blue"), PLACES, strict=True))
    for each in found:
        left, top, right, bottom = PLACES[colours[each.label]]
        assert (each.x, each.y, each.width, each.height) == (left, top, right - left, bottom - top)
        assert each.share == pytest.approx((right - left) * (bottom - top) / (WIDE * HIGH))
        assert all(map(all, cells_of(each.mask)))
        assert each.score is None or each.score > 0.99


def check_instances(found: tuple[Instance, ...]) -> None:
    assert [each.label for each in found] == ["red", "blue"]
    red, blue = found
    assert (red.x, red.y, red.width, red.height) == (20, 12, 120, 120)
    assert red.mask is not None and blue.mask is not None
    cells = cells_of(red.mask)
    for row, line in enumerate(cells):
        for column, belongs in enumerate(line):
            x = 20 + (column + 0.5) * 120 / len(line)
            y = 12 + (row + 0.5) * 120 / len(cells)
            inside = 40 < x < 120 and 32 < y < 112
            edge = min(abs(x - 40), abs(x - 120), abs(y - 32), abs(y - 112))
            assert belongs == inside or edge < 6  # three quarters of a prototype's cell
    covered = sum(map(sum, cells)) / (len(cells) * len(cells[0]))
    assert covered == pytest.approx((80 / 120) ** 2, abs=0.06)
    assert all(map(all, cells_of(blue.mask)))  # its box lies inside


def check_pose(found: tuple[Pose, ...]) -> None:
    (pose,) = found
    assert [point.name for point in pose.points] == ["red", "green", "blue"]
    assert pose.skeleton == ((0, 1), (1, 2))
    for point, (left, top, right, bottom) in zip(pose.points, PLACES.values(), strict=True):
        assert (point.x, point.y) == pytest.approx(((left + right) / 2, (top + bottom) / 2), abs=1)
        assert point.score > 0.9
    assert (pose.x, pose.y) == pytest.approx((80, 72), abs=1)


def check_spots(found: tuple[Pose, ...]) -> None:
    """Of a rectangle every cell is as high: the first one's middle, or on its edge to the next."""
    (pose,) = found
    for point, (left, top, _, _) in zip(pose.points, PLACES.values(), strict=True):
        assert (point.x, point.y) == pytest.approx((left + 4, top + 4), abs=4.1)


def sixteenths() -> Array:
    """The same strengths by numpy, from the painted picture."""
    rgb = painted()[:, :, ::-1].astype(np.float64) / 255
    strengths: Array = rgb @ (np.full((3, 3), -0.5) + 1.5 * np.eye(3))
    cells = strengths.reshape(4, HIGH // 4, 4, WIDE // 4, 3).mean(axis=(1, 3))
    flat: Array = cells.transpose(2, 0, 1).reshape(-1) + BIAS[0]
    return flat


def check_vector(found: tuple[Vector, ...]) -> None:
    (vector,) = found
    assert vector.values == pytest.approx(sixteenths().tolist(), abs=1e-5)
    assert vector.length == pytest.approx(np.linalg.norm(sixteenths()), abs=1e-5)


def check_unit(found: tuple[Vector, ...]) -> None:
    (vector,) = found
    truth = sixteenths() / np.linalg.norm(sixteenths())
    assert vector.values == pytest.approx(truth.tolist(), abs=1e-5)


def regions(head: str, **more: Any) -> Case:
    return Case(
        "segment",
        lambda path: onnx_tasks.regions(path, EATS.width, EATS.height, head),
        msgspec.convert({"head": head, "background": "first", "mask_side": 256}, Decoding),
        check_regions,
        () if head == "classes" else CLASSES,
    )


POINTS = {"keypoints": ["red", "green", "blue"], "skeleton": [[0, 1], [1, 2]]}
FOUND_THERE = ((40, 36, 60, 60, 0), (64, 92, 40, 30, 2))  # tensor pixels, and the colour
CASES = {
    "segment logits": regions("logits"),
    "segment probabilities": regions("probabilities"),
    "segment yolov8": Case(
        "segment",
        lambda path: onnx_tasks.instances(path, EATS.width, EATS.height, FOUND_THERE),
        Decoding(head="yolov8", min_score=0.5),
        check_instances,
        CLASSES[1:],
    ),
    "pose movenet": Case(
        "pose",
        lambda path: onnx_tasks.movenet(path, EATS.width, EATS.height),
        msgspec.convert({"head": "movenet", **POINTS}, Decoding),
        check_pose,
        ("body",),
    ),
    "pose heatmaps": Case(
        "pose",
        lambda path: onnx_tasks.heatmaps(path, EATS.width, EATS.height),
        msgspec.convert({"head": "heatmaps", **POINTS}, Decoding),
        check_spots,
        ("body",),
    ),
    "embed vector": Case(
        "embed",
        lambda path: onnx_tasks.vectors(path, EATS.width, EATS.height),
        Decoding(head="vector"),
        check_vector,
    ),
    "embed unit-vector": Case(
        "embed",
        lambda path: onnx_tasks.vectors(path, EATS.width, EATS.height),
        Decoding(head="unit-vector"),
        check_unit,
    ),
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def model(case: Case, tmp_path: Path) -> Any:
    model = model_of(case, tmp_path / "model")
    yield model
    model.engine.close()


def found_in(model: Model, folder: Path, picture: Array) -> Any:
    file = folder / "picture.png"
    cv2.imwrite(str(file), picture)
    return answer(model, file)


def test_it_finds_what_is_painted(case: Case, model: Model, tmp_path: Path) -> None:
    case.check(found_in(model, tmp_path, painted()))


def test_a_letterboxed_picture_has_it_in_the_same_place(
    case: Case, model: Model, tmp_path: Path
) -> None:
    """The painted picture is the middle of one twice as wide: all lies 160 pixels further."""
    if case.task == "embed":
        pytest.skip("a vector has no place")
    wide = np.full((HIGH, 2 * WIDE, 3), 128, np.uint8)
    wide[:, WIDE // 2 : WIDE // 2 + WIDE] = painted()
    found = found_in(model, tmp_path, wide)
    assert found and all(each.x >= 0 and each.x + each.width <= 2 * WIDE for each in found)
    if isinstance(found[0], Region):
        for each in found:
            left, top, right, bottom = list(PLACES.values())[CLASSES.index(each.label) - 1]
            assert (each.x, each.y) == pytest.approx((left + 160, top), abs=4)
            assert (each.width, each.height) == pytest.approx((right - left, bottom - top), abs=8)


def test_it_is_plain_and_stays_when_the_tensor_changes(
    case: Case, model: Model, tmp_path: Path
) -> None:
    outputs = tuple(np.array(each) for each in first_outputs(model, tmp_path))
    view = View(WIDE, HIGH, 0, 0, 2, 2)
    found: Any = model.decode(outputs, view)
    said = msgspec.json.encode(found)
    for each in outputs:
        each.fill(0)
    assert found and msgspec.json.encode(found) == said
    assert all(is_plain(each) for each in msgspec.to_builtins(found))
    model.decode(outputs, view)  # what it keeps for itself is written over
    assert msgspec.json.encode(found) == said


def first_outputs(model: Model, folder: Path) -> Any:
    found_in(model, folder, painted())
    return model.engine.run()


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    if isinstance(value, tuple | list):
        return all(map(is_plain, value))
    return type(value) in (int, float, str, type(None))


def test_it_reads_back_as_a_golden_answer_and_agrees_with_itself(
    case: Case, model: Model, tmp_path: Path
) -> None:
    found = found_in(model, tmp_path, painted())
    (tmp_path / "a.json").write_bytes(msgspec.json.encode(found))
    again = read_answer(tmp_path / "a.json", case.task)
    assert again == found
    assert differs(again, found, SAMPLE) is None
    assert differs(again, (), SAMPLE) is not None
    other: Any = found_in(model, tmp_path, np.roll(painted(), (60, 60), axis=(0, 1)))
    if "yolov8" not in str(model.manifest.decoding.head):  # whose boxes never move
        assert differs(again, other, SAMPLE) is not None


def test_it_can_be_told_and_drawn(case: Case, model: Model, tmp_path: Path) -> None:
    found = found_in(model, tmp_path, painted())
    entries: tuple[Entry, ...] = found
    for each in map(thing, entries):
        assert msgspec.json.decode(msgspec.json.encode(each), type=Thing) == each
    picture = painted()
    draw(picture, found, (WIDE, HIGH))
    assert (picture != painted()).any()


def test_a_frame_allocates_nothing_of_a_maps_size(model: Model, tmp_path: Path) -> None:
    """As Python's allocators and numpy count it. The smallest map here has 7 kB, the usual 300."""
    outputs = tuple(np.array(each) for each in first_outputs(model, tmp_path))
    view = View(WIDE, HIGH, 0, 0, 2, 2)
    for _ in range(3):
        model.decode(outputs, view)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        model.decode(outputs, view)
        most = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert most < MOST_BYTES
