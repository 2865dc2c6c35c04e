"""What a manifest says of a head that finds boxes: what contradicts it is said with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models import bundle, manifest
from runtime.engines import EngineOptions
from runtime.goldens import Wish, make_goldens
from runtime.locating import ZOO, locate
from runtime.opening import open_model
from tests.graphs.onnx_heads import CELLS, COLUMNS, ROWS, ssd_raw
from wire.troubles import Refused, Unavailable

TEXT = """\
schema = 1
name = "m"
version = "1"
task = "detect"
format = "onnx"
file = "m.onnx"
[input]
width = 320
height = 240
colour = "rgb"
layout = "NCHW"
dtype = "float32"
[decoding]
"""
RULE = "\n[decoding.anchors]\nstrides = [16, 32]\n"


@pytest.mark.parametrize(
    "said",
    [
        'head = "yolov5"\nboxes = "shares"',
        'head = "yolov8"\nnms = "class-agnostic"\nactivation = "sigmoid"',
        'head = "yolox"',
        'head = "yolox"\nboxes = "pixels"',
        'head = "yolov10"\nboxes = "shares"',
        'head = "ssd-raw"\nboxes = "shares"\nbox_order = "xywh"',
        'head = "ssd-raw"\nanchors_file = "a.csv"\nvariances = [0.1, 0.1, 0.2, 0.2]',
        'head = "ssd-raw"\nactivation = "softmax"\nbackground = "first"' + RULE,
    ],
)
def test_what_fits_is_taken_and_reads_back(said: str) -> None:
    taken = manifest.parse(TEXT + said, "m.toml")
    assert manifest.parse(manifest.as_text(taken), "m.toml") == taken


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ('head = "yolov9"', r"14: decoding.head: 'yolov9' is not possible; did you mean yolov"),
        ('head = "yolov5"\nboxes = "grid"', "15: decoding.boxes: 'grid' does not fit head 'yolov5'"
         ": use pixels or shares"),
        ('head = "fcos"\nboxes = "pixels"', "15: decoding.boxes: 'pixels' .* 'fcos': remove it"),
        ('head = "yolov8"\nactivation = "softmax"', "15: decoding.activation: 'softmax' does not "
         "fit head 'yolov8': use none or sigmoid"),
        ('head = "ssd"\nactivation = "sigmoid"', "decoding.activation: .* 'ssd': use none"),
        ('head = "yolox"\nbackground = "first"', "15: decoding.background: only head 'ssd-raw'"),
        ('head = "ssd-raw"', "decoding.anchors: head 'ssd-raw' needs either a table "),
        ('head = "ssd-raw"\nanchors_file = "a.csv"' + RULE, "needs either a table "),
        ('head = "ssd-raw"\nboxes = "shares"' + RULE, "decoding.anchors: only offsets .* remove"),
        ('head = "yolov8"\nanchors_file = "a.csv"', "15: decoding.anchors_file: only offsets"),
        ('head = "ssd-raw"\nanchors_file = "a.npy"', "15: decoding.anchors_file: 'a.npy' should "
         "end with .csv"),
        ('head = "ssd-raw"\nanchors_file = "M.onnx"', "15: .*end with .csv"),
        ('head = "yolov8"\nvariances = [0.1, 0.1, 0.2]', "15: decoding.variances: 3 values: give "),
        ('head = "yolov8"\nvariances = [0.1, inf]', "15: decoding.variances: not a number"),
        ('head = "ssd-raw"' + RULE + "max_scale = inf", "17: decoding.anchors.max_scale: not a"),
        ('head = "ssd-raw"' + RULE + "aspect_ratios = [1.0, nan]", "17: decoding.anchors.aspect_r"),
        ('head = "ssd-raw"' + RULE.replace("[16, 32]", "[1, 1]"), "16: decoding.anchors.strides"
         ": these make 691200 anchors; 250000 can be used"),
        ('head = "ssd-raw"' + RULE.replace("[16, 32]", "[]"), "16: decoding.anchors.strides"),
        ('head = "ssd-raw"' + RULE + "scale = 1", "decoding.anchors.scale: there is no such key"),
    ],
)  # fmt: skip
def test_each_contradiction_has_its_line(said: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as told:
        manifest.parse(TEXT + said, "m.toml")
    assert str(told.value).isprintable()


def made(folder: Path, **said: Any) -> Path:
    """The zoo's detector as a raw SSD with its anchors in a file."""
    folder.mkdir()
    ssd_raw(folder / "m.onnx")
    wide, tall = 0.25 * 120 / 160, 0.25
    lines = [f"{(x + 0.5) / COLUMNS},{(y + 0.5) / ROWS},{wide},{tall}"
             for y in range(ROWS) for x in range(COLUMNS)]  # fmt: skip
    (folder / "anchors.csv").write_text("\n".join(lines[: said.get("anchors", CELLS)]))
    text = TEXT.replace("320", "160").replace("240", "120").replace("rgb", "grey")
    text = text.replace('dtype = "float32"', 'dtype = "float32"\nstd = [255.0]')
    (folder / "manifest.toml").write_text(
        text + 'head = "ssd-raw"\nanchors_file = "anchors.csv"\nactivation = "sigmoid"\n'
        'background = "first"\nmin_score = 0.3\n'
    )
    return folder


def test_anchors_travel_in_the_bundle(tmp_path: Path) -> None:
    folder = made(tmp_path / "model")
    assert manifest.load(folder).files == ("manifest.toml", "anchors.csv", "m.onnx")
    bundle.pack(folder, tmp_path / "m.zip")
    (folder / "anchors.csv").write_text("0.5,0.5,1,1\n")
    bundle.unpack(tmp_path / "m.zip", tmp_path / "out")
    assert (tmp_path / "out" / "anchors.csv").read_text().count("\n") == CELLS - 1


def test_a_model_with_anchors_in_a_file_is_opened_and_gets_its_goldens(tmp_path: Path) -> None:
    """Making goldens takes a decoder of another threshold: it has the anchors, too."""
    folder = made(tmp_path / "model")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in (1, 2):
        name = f"golden-{number}.png"
        source = ZOO / "digits-detect" / "onnx" / name
        (pictures / name).write_bytes(source.read_bytes())
    try:
        goldens = make_goldens(folder, pictures, EngineOptions(threads=1), Wish(2, lambda _: None))
    except Unavailable as trouble:
        pytest.skip(str(trouble))
    assert len(goldens.chosen) == 2


def test_too_few_anchors_are_refused(tmp_path: Path) -> None:
    folder = made(tmp_path / "model", anchors=299)
    with pytest.raises(Refused, match=r"m\.onnx: .* gives 299 anchors, the model 300 boxes"):
        try:
            with locate(folder) as located:
                open_model(located, EngineOptions(threads=1))
        except Unavailable as trouble:
            pytest.skip(str(trouble))
