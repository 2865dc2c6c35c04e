"""What a manifest says of masks, keypoints and vectors: what contradicts it is said with its line;
what the model contradicts, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models import manifest
from models.manifest import Decoding, Manifest
from runtime.contract import check_contract
from runtime.doubt import BoxDoubt, RegionDoubt, VectorDoubt, doubting
from runtime.engines import EngineOptions, TensorSpec
from runtime.goldens import Wish, make_goldens
from runtime.locating import locate
from runtime.loop import Model
from runtime.opening import open_model
from tests.contract.test_tasks import CASES, EATS, found_in, model_of, painted
from tests.graphs import onnx_tasks
from wire.troubles import Refused

TEXT = """\
schema = 1
name = "m"
version = "1"
task = "TASK"
format = "onnx"
file = "m.onnx"
[input]
width = 160
height = 120
colour = "rgb"
layout = "NCHW"
dtype = "float32"
[decoding]
"""
NAMED = 'keypoints = ["nose", "hand"]\n'


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("segment", 'head = "logits"\nbackground = "last"\nmin_share = 0.01\nmask_side = 512'),
        ("segment", 'head = "probabilities"\nbackground = "first"'),
        ("segment", 'head = "classes"\nbackground = "first"'),
        ("segment", 'head = "yolov8"\nboxes = "shares"\nnms = "class-agnostic"'),
        ("pose", 'head = "movenet"\n' + NAMED + "skeleton = [[0, 1]]"),
        ("pose", 'head = "yolov8"\nskeleton = [[0, 16], [3, 4]]'),
        ("pose", 'head = "heatmaps"\n' + NAMED),
        ("embed", 'head = "vector"'),
        ("embed", 'head = "unit-vector"'),
    ],
)
def test_what_fits_is_taken_and_reads_back(task: str, said: str) -> None:
    taken = manifest.parse(TEXT.replace("TASK", task) + said, "m.toml")
    assert manifest.parse(manifest.as_text(taken), "m.toml") == taken


@pytest.mark.parametrize(
    ("task", "said", "why"),
    [
        ("segment", 'head = "movenet"', "14: decoding.head: 'movenet' does not fit task 'segment': "
         "use probabilities or logits or classes or yolov8"),
        ("pose", 'head = "logits"', "14: decoding.head: 'logits' does not fit task 'pose'"),
        ("embed", 'head = "none"', "decoding.head: 'none' does not fit task 'embed'"),
        ("segment", 'head = "classes"\nbackground = "last"', "15: decoding.background: class "
         "numbers do not say which is the last: use 'first' or 'none'"),
        ("classify", 'head = "logits"\nbackground = "first"', "15: decoding.background: a picture "
         "of one class has none: remove it"),
        ("segment", 'head = "logits"\nskeleton = [[0, 1]]', "15: decoding.skeleton: only task "
         "'pose' has a use for it: remove it"),
        ("detect", 'head = "yolov8"\nmask_side = 64', "15: decoding.mask_side: only task"),
        ("pose", 'head = "movenet"\nmin_share = 0.5', "15: decoding.min_share: only task"),
        ("embed", 'head = "vector"\n' + NAMED, "15: decoding.keypoints: only task 'pose'"),
        ("segment", 'head = "logits"\nmask_side = 0', "15: decoding.mask_side"),
        ("segment", 'head = "logits"\nmask_side = 2000', "15: decoding.mask_side"),
        ("pose", 'head = "movenet"\nkeypoints = ["a", "b", "a"]', "'a' is named twice"),
        ("pose", 'head = "movenet"\nkeypoints = [""]', "decoding.keypoints"),
        ("pose", 'head = "movenet"\n' + NAMED + "skeleton = [[0, 2]]",
         "there is no keypoint 2: they count from 0 to 1"),
        ("pose", 'head = "movenet"\nskeleton = [[3, 3]]', "joins keypoint 3 with itself"),
        ("pose", 'head = "movenet"\nskeleton = [[0, 1, 2]]', "decoding.skeleton"),
        ("pose", 'head = "movenet"\nskeleton = [[-1, 1]]', "decoding.skeleton"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(task: str, said: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        manifest.parse(TEXT.replace("TASK", task) + said, "m.toml")
    assert why in str(refused.value)


def test_a_segmenter_of_objects_has_two_outputs() -> None:
    text = (
        TEXT.replace("TASK", "segment")
        + 'head = "yolov8"\n[[outputs]]\nname = "a"\n'
        + ('shape = [1, 40, 8]\ndtype = "float32"\n')
    )
    with pytest.raises(Refused, match="1 outputs, but head 'yolov8' reads 2"):
        manifest.parse(text, "m.toml")


class Loaded:
    takes = TensorSpec("input", (1, 3, 120, 160), "float32")

    def __init__(self, *shapes: tuple[int, ...]) -> None:
        self.gives = tuple(TensorSpec(f"t{i}", each, "float32") for i, each in enumerate(shapes))

    def input(self) -> Any: ...
    def run(self) -> Any: ...
    def close(self) -> None: ...


@pytest.mark.parametrize(
    ("task", "decoding", "shapes", "labels", "why"),
    [
        ("segment", {"head": "logits"}, [(1, 4, 120, 160)], ("a",), "has 1 label, the model 4"),
        ("segment", {"head": "logits"}, [(1, 4, 120, 100)], (), "as wide and high as its 160x120"),
        ("segment", {"head": "yolov8"}, [(1, 40, 420), (1, 32, 30, 40)], ("a", "b"),
         "not (1, 40, 420)"),
        ("pose", {"head": "movenet", "keypoints": ("a", "b")}, [(1, 1, 17, 3)], (),
         "the manifest names 2 keypoints, the model gives 17: name each, in its order"),
        ("pose", {"head": "movenet", "skeleton": ((0, 17),)}, [(1, 1, 17, 3)], (),
         "the skeleton joins keypoint 17, the model gives 17: they count from 0"),
        ("pose", {"head": "heatmaps"}, [], (), "task pose needs one output, this model gives 0"),
    ],
)  # fmt: skip
def test_what_the_model_contradicts_is_refused(
    task: Any, decoding: Any, shapes: Any, labels: tuple[str, ...], why: str
) -> None:
    made = Manifest(1, "m", "1", task, "onnx", "m.onnx", EATS, decoding=Decoding(**decoding))
    with pytest.raises(Refused) as refused:
        check_contract(made, Loaded(*shapes), labels, "m.onnx")
    assert why in str(refused.value) and str(refused.value).startswith("m.onnx: ")


def opened(path: Path) -> Model:
    with locate(path) as located:
        model = open_model(located, EngineOptions(threads=1))
    model.engine.close()
    return model


@pytest.mark.parametrize(
    ("build", "task", "head", "said"),
    [
        (lambda p: onnx_tasks.regions(p, 160, 120), "segment", "logits", "4 scores for each pixel"),
        (lambda p: onnx_tasks.regions(p, 160, 120, "probabilities"), "segment", "probabilities",
         "4 scores for each pixel"),
        (lambda p: onnx_tasks.regions(p, 160, 120, "classes"), "segment", "classes",
         "a map of classes"),
        (lambda p: onnx_tasks.instances(p, 160, 128, [(80, 60, 40, 40, 1)]), "segment", "yolov8",
         "3 prototypes: head yolov8, instances with masks, 3 classes"),
        (lambda p: onnx_tasks.movenet(p, 160, 120), "pose", "movenet", "one body, 3 points"),
        (lambda p: onnx_tasks.vectors(p, 160, 120, is_unit=True), "embed", "unit-vector",
         "48 numbers, a vector of length 1"),
        (lambda p: onnx_tasks.vectors(p, 160, 120), "classify", "logits", "classes, by softmax"),
        (lambda p: onnx_tasks.heatmaps(p, 160, 120), "raw", "none", "no known form"),
    ],
)  # fmt: skip
def test_a_bare_file_is_understood_where_its_shapes_say_it(
    tmp_path: Path, build: Any, task: str, head: str, said: str
) -> None:
    model = opened(build(tmp_path / "m.onnx"))
    assert (model.manifest.task, model.manifest.decoding.head) == (task, head)
    assert said in model.guesses[2]


def test_the_points_of_coco_have_their_names() -> None:
    from runtime.inferring_shapes import COCO_POINTS, COCO_SKELETON

    assert len(COCO_POINTS) == len(set(COCO_POINTS)) == 17
    assert {place for pair in COCO_SKELETON for place in pair} == set(range(17))


@pytest.mark.parametrize("name", CASES)
def test_golden_samples_are_made_of_every_task_and_hold(tmp_path: Path, name: str) -> None:
    import cv2

    model = model_of(CASES[name], tmp_path / "model")
    model.engine.close()
    (tmp_path / "img").mkdir()
    cv2.imwrite(str(tmp_path / "img" / "a.png"), painted())
    made = make_goldens(
        tmp_path / "model", tmp_path / "img", EngineOptions(threads=1), Wish(1, lambda line: None)
    )
    assert len(made.chosen) == 1 and made.chosen[0].found != "nothing"
    assert opened(tmp_path / "model").manifest.golden[0].picture == "golden-1.png"


def test_a_picture_whose_regions_may_come_and_go_is_no_sample(tmp_path: Path) -> None:
    """Red and green take 8.3 % of it, each: near a tolerance of a tenth, far from a hundredth."""
    import cv2

    model = model_of(CASES["segment logits"], tmp_path / "model")
    cv2.imwrite(str(tmp_path / "p.png"), painted())
    assert RegionDoubt(model, 0.1).judge(tmp_path / "p.png") is None
    judged = RegionDoubt(model, 0.01).judge(tmp_path / "p.png")
    assert judged is not None and judged.kind == (1, 2, 3) and judged.sure > 0.9
    assert found_in(model, tmp_path, painted())
    model.engine.close()


def test_every_task_has_its_doubt(tmp_path: Path) -> None:
    kinds = {"segment logits": RegionDoubt, "segment yolov8": BoxDoubt, "pose movenet": BoxDoubt,
             "embed vector": VectorDoubt}  # fmt: skip
    for name, kind in kinds.items():
        model = model_of(CASES[name], tmp_path / name.replace(" ", "-"))
        assert type(doubting(model, 0.05)) is kind
        model.engine.close()
