"""A user runs models that find regions, bodies and vectors, over the front door."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models import manifest
from models.manifest import Decoding, Input, Manifest
from runtime.cameras import make_camera
from runtime.cameras.scene import CELLS
from runtime.cameras.synthetic import SyntheticCamera
from tests import warm
from tests.contract.test_tasks import PLACES, painted
from tests.graphs import onnx_tasks
from tests.naive import cells_of

CAMERA = "synthetic://320x240?digits=3&seed=4"
FRAMES = 8


def results(*words: str) -> list[Any]:
    done = warm.run(["run", *words, "--results", "-"])
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def segmenter(folder: Path) -> Path:
    """Finds what is brighter than any background of the synthetic camera: the ink of its digits."""
    folder.mkdir()
    onnx_tasks.bright(folder / "m.onnx", 320, 240)
    (folder / "labels.txt").write_text("ink\n")
    eats = Input(320, 240, "rgb", "NCHW", "float32", std=(255.0,))
    decoding = Decoding(head="logits", min_share=0.0, mask_side=320)
    said = Manifest(1, "ink", "1", "segment", "onnx", "m.onnx", eats, decoding=decoding,
                    labels="labels.txt")  # fmt: skip
    manifest.write(folder, said)
    return folder


def test_regions_of_the_synthetic_camera_lie_where_its_digits_are(tmp_path: Path) -> None:
    model = segmenter(tmp_path / "ink")
    said = results("--camera", CAMERA, "--model", str(model), "--frames", str(FRAMES))
    camera = make_camera(CAMERA)
    assert isinstance(camera, SyntheticCamera) and len(said) == FRAMES
    for result in said:
        (region,) = result["found"]
        assert (region["label"], region["index"]) == ("ink", 0) and region["score"] > 0.5
        truth = camera.truth(result["seq"])
        rim = max(max(each.width, each.height) for each in truth) / (CELLS - 2)
        assert 0 < region["share"] < sum(each.width * each.height for each in truth) / (320 * 240)
        rows = cells_of(mask_of(region["mask"]))
        assert (len(rows), len(rows[0])) == (region["height"], region["width"])
        for down, row in enumerate(rows):
            for across, belongs in enumerate(row):
                x, y = region["x"] + across + 0.5, region["y"] + down + 0.5
                assert not belongs or any(
                    each.x - rim <= x <= each.x + each.width + rim
                    and each.y - rim <= y <= each.y + each.height + rim
                    for each in truth
                )


def mask_of(said: Any) -> Any:
    from runtime.tasks import Mask

    return Mask(tuple(said["size"]), tuple(said["counts"]))


@pytest.fixture
def pictures(tmp_path: Path) -> str:
    (tmp_path / "img").mkdir()
    cv2.imwrite(str(tmp_path / "img" / "a.png"), painted())
    return f"file://{tmp_path / 'img'}"


def test_bare_files_say_what_they_find(tmp_path: Path, pictures: str) -> None:
    """No manifest: tasks and heads come from the shapes of the outputs."""
    builds: dict[str, Any] = {
        "map": onnx_tasks.regions,
        "body": onnx_tasks.movenet,
        "unit": lambda path, wide, high: onnx_tasks.vectors(path, wide, high, is_unit=True),
    }
    found = {}
    for name, build in builds.items():
        file = build(tmp_path / f"{name}.onnx", 160, 120)
        (result,) = results("--camera", pictures, "--model", str(file))
        found[name] = result["found"]
    by_class = {each["index"]: each for each in found["map"]}
    assert set(by_class) == {0, 1, 2, 3}  # the first of them is the grey around
    for index, (left, top, right, bottom) in enumerate(PLACES.values(), 1):
        box = [by_class[index][key] for key in ("x", "y", "width", "height")]
        assert box == [left, top, right - left, bottom - top]
    (body,) = found["body"]
    assert [point["name"] for point in body["points"]] == ["0", "1", "2"]
    assert (body["points"][0]["x"], body["points"][0]["y"]) == pytest.approx((80, 72), abs=1)
    (vector,) = found["unit"]
    assert len(vector["values"]) == 48
    assert np.linalg.norm(vector["values"]) == pytest.approx(1, abs=1e-5)


def test_the_summary_of_a_run_names_what_was_found(tmp_path: Path, pictures: str) -> None:
    file = onnx_tasks.regions(tmp_path / "m.onnx", 160, 120)
    done = warm.run(["model", "show", file, "--json"])
    said = json.loads(done.stdout)
    assert said["manifest"]["task"] == "segment"
    assert any("regions, by logits" in line for line in said["guesses"])
    done = warm.run(["run", "--camera", pictures, "--model", file, "--json"])
    assert json.loads(done.stdout)["accuracy"] is None
