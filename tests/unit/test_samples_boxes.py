"""Samples with boxes: COCO's annotations and YOLO's labels, in the shapes that tools write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.tasks import Box
from tests.unit.test_samples import picture
from wire.troubles import Refused
from workshop.samples import Samples
from workshop.samples.opening import open_samples

CATEGORIES = [{"id": 7, "name": "truck"}, {"id": 2, "name": "person", "supercategory": "x"}]


def coco(**changes: Any) -> dict[str, Any]:
    return {
        "licenses": [],
        "images": [
            {"id": 5, "file_name": "a.png", "width": 40, "height": 30},
            {"id": 6, "file_name": "b.png", "width": 40, "height": 30},
        ],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 7, "bbox": [4, 3, 20, 10.5], "area": 210},
            {"id": 2, "image_id": 5, "category_id": 2, "bbox": [0, 0, 40, 30], "iscrowd": 0},
            {"id": 3, "image_id": 5, "category_id": 2, "bbox": [1, 1, 2, 2], "iscrowd": 1},
        ],
        "categories": CATEGORIES,
    } | changes


def write(file: Path, content: object) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def boxes(samples: Samples) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    for sample in samples:
        assert sample.truth is not None and (sample.frame.layout.width, len(sample.truth)) > (0, -1)
        found[sample.name] = [numbers(box) for box in sample.truth]
    return found


def numbers(box: Box) -> tuple[Any, ...]:
    places = (round(place, 3) for place in (box.x, box.y, box.width, box.height))
    return (box.index, box.label, *places)


@pytest.mark.parametrize(
    ("annotations", "pictures"),
    [
        ("_annotations.coco.json", "."),  # Roboflow
        ("annotations/instances_val2017.json", "val2017"),  # COCO
        ("annotations/instances_val2017.json", "images/val2017"),
        ("annotations.json", "images"),
        ("annotations/instances_default.json", "images"),  # CVAT
    ],
)
def test_coco_wherever_its_pictures_are(annotations: str, pictures: str, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / pictures / name)
    file = write(tmp_path / annotations, coco())
    for words in (str(file), str(tmp_path)):
        samples = open_samples(words)
        assert (samples.truth, samples.labels) == ("boxes", ("person", "truck"))
        assert boxes(samples) == {
            "a.png": [(1, "truck", 4, 3, 20, 10.5), (0, "person", 0, 0, 40, 30)],
            "b.png": [],
        }


def test_coco_with_the_labels_of_a_model(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    write(tmp_path / "annotations.json", coco())
    found = boxes(open_samples(str(tmp_path), ("car", "TRUCK", "n/a", "person")))
    assert [(index, label) for index, label, *_ in found["a.png"]] == [(1, "TRUCK"), (3, "person")]
    with pytest.raises(Refused, match=r"'truck' is none of the model's 1 classes \('person'\)"):
        open_samples(str(tmp_path), ("person",))


def test_boxes_for_another_size_are_not_used(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", size=(30, 40))
    picture(tmp_path / "b.png")
    write(tmp_path / "annotations.json", coco())
    samples = open_samples(str(tmp_path))
    assert list(boxes(samples)) == ["b.png"]
    assert "a.png: has 30x40 pixels, its boxes are for 40x30" in samples.left_out[0]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[1, 2", "no COCO annotations of boxes"),
        (coco(images=[]), "without pictures"),
        (coco(categories=[]), "without pictures or categories"),
        (coco(categories=[{"id": 2, "name": "person"}]), "no category has the id 7"),
        (coco(annotations=[{"image_id": 5, "category_id": 2, "caption": "x"}]), "bbox"),
        (
            coco(annotations=[{"image_id": 5, "category_id": 2, "bbox": [0, 0, -1, 1]}]),
            "no picture or box",
        ),
    ],
)
def test_coco_that_cannot_be_meant(content: object, why: str, tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    file = write(tmp_path / "annotations.json", content)
    with pytest.raises(Refused, match=why):
        open_samples(str(file))


def test_coco_without_its_pictures(tmp_path: Path) -> None:
    file = write(tmp_path / "annotations.json", coco())
    with pytest.raises(Refused, match=r"its first picture .* is not in"):
        open_samples(str(file))


def test_several_files_of_annotations_ask_which(tmp_path: Path) -> None:
    for split in ("train", "val"):
        write(tmp_path / "annotations" / f"instances_{split}.json", coco())
    with pytest.raises(Refused, match=r"has annotations/instances_train.json, .*: say which"):
        open_samples(str(tmp_path))


YAMLS = {
    "one line": "path: ..  # other\nval: images/val\nnames: ['person', \"big, truck\"]\n",
    "list": "val:\n  - images/val\nnames:\n- person\n- big, truck  # of all kinds\n",
    "map": "names:\n  1: 'big, truck'\n  0: person\nval: ./images/val\ntest:\n",
    "map in one line": "nc: 2\nval: images/val\nnames: {0: person, 1: 'big, truck'}\n",
    "roboflow": "train: ../train/images\nval: ../images/val\nnames: [person, 'big, truck']\n",
    "script": "val: images/val\nnames:\n  0: person\n  1: big, truck\n\ndownload: |\n  import x\n",
}


def yolo(folder: Path, yaml: str | None = YAMLS["list"]) -> Path:
    for name in ("a.png", "b.png", "c.png"):
        picture(folder / "images" / "val" / name)
    write(folder / "labels" / "val" / "a.txt", "1 0.5 0.5 0.25 0.5\n\n0 0.1 0.1 0.2 0.2\n")
    write(folder / "labels" / "val" / "b.txt", "0 0.1 0.2 0.6 0.4 0.3 0.9\n")
    if yaml is not None:
        write(folder / "data.yaml", yaml)
    return folder


FOUND = {
    "a.png": [(1, "big, truck", 15, 7.5, 10, 15), (0, "person", 0, 0, 8, 6)],
    "b.png": [(0, "person", 4, 6, 20, 21)],
    "c.png": [],
}


@pytest.mark.parametrize("yaml", YAMLS)
def test_yolo_by_its_yaml(yaml: str, tmp_path: Path) -> None:
    folder = yolo(tmp_path, YAMLS[yaml])
    for words in (str(folder), str(folder / "data.yaml")):
        samples = open_samples(words)
        assert (samples.truth, samples.labels) == ("boxes", ("person", "big, truck"))
        assert boxes(samples) == FOUND


def test_yolo_by_its_pictures(tmp_path: Path) -> None:
    folder = yolo(tmp_path) / "images" / "val"
    assert boxes(open_samples(str(folder))) == FOUND
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(Refused, match="nothing says what their classes are called"):
        open_samples(str(folder))
    assert boxes(open_samples(str(folder), ("person", "big, truck"))) == FOUND


def test_yolo_by_a_list_of_files(tmp_path: Path) -> None:
    folder = yolo(tmp_path, "val: some.txt\nnames: [person, truck]\n")
    write(folder / "some.txt", "images/val/b.png\n./images/val/c.png\n")
    assert list(boxes(open_samples(str(folder)))) == ["b.png", "c.png"]


@pytest.mark.parametrize(
    ("yaml", "line", "why"),
    [
        ("names: [a, b]\n", "", "says none of val, test, train"),
        ("val: images/val\n", "", "has no names"),
        ("val: images/val\nnames: [a,\n  b]\n", "", r"data.yaml:2: a list or map that goes on"),
        ("val: images/val\nnames: {0: a, 2: b}\n", "", "numbers 0 to 1, each once"),
        ("val: images/none\nnames: [a]\n", "", "there is no"),
        (YAMLS["list"], "2 0.5 0.5 0.1 0.1", r"a.txt:1: class 2 is none of 2"),
        (YAMLS["list"], "0 0.5 0.5 0.1", r"a.txt:1: 3 numbers are neither a box nor an outline"),
        (YAMLS["list"], "0 20 15 10 10", r"a.txt:1: is beyond the picture"),
        (YAMLS["list"], "0 nan 0.5 0.1 0.1", r"a.txt:1: is beyond the picture"),
        (YAMLS["list"], "person 0.5 0.5 0.1 0.1", r"a.txt:1: write class x y width height"),
    ],
)
def test_yolo_that_cannot_be_meant(yaml: str, line: str, why: str, tmp_path: Path) -> None:
    folder = yolo(tmp_path, yaml)
    write(folder / "labels" / "val" / "a.txt", line)
    with pytest.raises(Refused, match=why):
        open_samples(str(folder))
