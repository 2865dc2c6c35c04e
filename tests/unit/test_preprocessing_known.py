"""What files of other tools say of preprocessing, in the manifest's words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import onnx
import pytest

from models.manifest import Input
from wire.troubles import Refused
from workshop.preprocessing import Preprocessing, carried, closest
from workshop.preprocessing.known import read_known
from workshop.preprocessing.known_graph import inside

IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
HALVES = ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
VIT = {
    "do_normalize": True, "do_rescale": True, "do_resize": True, "rescale_factor": 1 / 255,
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    "image_processor_type": "ViTImageProcessor", "resample": 2,
    "size": {"height": 224, "width": 192},
}  # fmt: skip
RESNET = {
    "do_center_crop": True, "crop_size": {"height": 224, "width": 224},
    "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225], "resample": 3,
    "size": {"shortest_edge": 256}, "do_normalize": True,
}  # fmt: skip
TRANSFORMERS: dict[str, tuple[dict[str, Any], Any]] = {
    "vit": (VIT, ("rgb", *HALVES, 192, 224, "stretch", "antialias")),
    "vit, old": (VIT | {"size": 224}, ("rgb", *HALVES, 224, 224, "stretch", "antialias")),
    "resnet": (RESNET, ("rgb", *IMAGENET, 224, 224, "crop", "antialias-bicubic")),
    "clip, old": (RESNET | {"size": 224, "crop_size": 224},
                  ("rgb", *IMAGENET, 224, 224, "crop", "antialias-bicubic")),
    "convnext": (
        {"size": {"shortest_edge": 224}, "crop_pct": 0.875, "do_resize": True, "resample": 0,
         "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
        ("rgb", *IMAGENET, 224, 224, "crop", "nearest-exact"),
    ),
    "efficientnet": (
        VIT | {"rescale_factor": 1 / 127.5, "rescale_offset": True, "do_normalize": False,
               "size": {"height": 260, "width": 260}},
        ("rgb", HALVES[0][:1], HALVES[1][:1], 260, 260, "stretch", "antialias"),
    ),
    "mobilevit": (
        RESNET | {"do_flip_channel_order": True, "do_normalize": False, "resample": 2,
                  "size": {"shortest_edge": 224}},
        ("bgr", (0,), (255,), 224, 224, "crop", "antialias"),
    ),
    "pixels": (VIT | {"do_rescale": False, "do_normalize": False, "resample": 4},
               ("rgb", (0,), (1,), 192, 224, "stretch", "area")),
}  # fmt: skip
TIMM = {
    "architecture": "resnet18", "num_classes": 1000,
    "pretrained_cfg": {
        "input_size": [3, 224, 224], "interpolation": "bilinear", "crop_pct": 0.95,
        "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "crop_mode": "center",
    },
}  # fmt: skip
COMPOSED = """Compose(
    Resize(size=256, interpolation=bilinear, max_size=None, antialias=True)
    CenterCrop(size=(224, 224))
    ToTensor()
    Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
)
"""
PRESET = """ImageClassification(
    crop_size=[224]
    resize_size=[224]
    mean=[0.485, 0.456, 0.406]
    std=[0.229, 0.224, 0.225]
    interpolation=InterpolationMode.BILINEAR
)"""
SECOND = """Compose(
      ToImage()
      Grayscale(num_output_channels=1)
      Resize(size=[120, 160], interpolation=InterpolationMode.BILINEAR, antialias=False)
      ToDtype(scale=True)
      Normalize(mean=[0.5], std=[0.25], inplace=False)
)"""


def told(known: Preprocessing) -> tuple[Any, ...]:
    assert known.mean is not None and known.std is not None
    mean = tuple(round(value, 6) for value in known.mean)
    std = tuple(round(value, 6) for value in known.std)
    sides = known.width, known.height
    return known.colour, mean, std, *sides, known.fit, known.interpolation


RESIZES = {"resnet": 256, "convnext": 256}


def write(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers(name: str, tmp_path: Path) -> None:
    content, expected = TRANSFORMERS[name]
    write(tmp_path / "preprocessor_config.json", content)
    known = read_known(tmp_path)
    assert told(known) == expected
    assert known.resize == RESIZES.get(name) and known.notes == ()


def test_timm(tmp_path: Path) -> None:
    known = read_known(write(tmp_path / "config.json", TIMM))
    assert told(known) == ("rgb", *IMAGENET, 224, 224, "crop", "antialias")
    assert (known.resize, known.notes) == (235, ())
    squash = TIMM["pretrained_cfg"] | {"crop_mode": "squash", "crop_pct": 1.0}  # type: ignore[operator]
    known = read_known(write(tmp_path / "config.json", squash))
    assert (known.fit, known.resize, known.notes) == ("stretch", None, ())


@pytest.mark.parametrize(
    ("text", "expected", "notes"),
    [
        (COMPOSED, ("rgb", *IMAGENET, 224, 224, "crop", "antialias"), ()),
        (PRESET, ("rgb", *IMAGENET, 224, 224, "crop", "antialias"), ()),
        (SECOND, ("grey", (127.5,), (63.75,), 160, 120, "stretch", "bilinear"), ()),
        ("Resize(size=(64, 64), interpolation=nearest)\nPILToTensor()\nSolarize(p=1)",
         ("rgb", (0,), (1,), 64, 64, "stretch", "nearest-exact"), ("Solarize is not known here",)),
        ("Resize(size=[80, 80])\nCenterCrop(size=[64, 64])",
         ("rgb", (0,), (1,), 64, 64, "stretch", "antialias"), ("takes the middle 64x64",)),
        ("Resize(size=200)\nCenterCrop(size=[64])",
         ("rgb", (0,), (1,), 64, 64, "crop", "antialias"), ("resize goes to 128",)),
        ("CenterCrop(size=[64])", ("rgb", (0,), (1,), 64, 64, None, None), ("resizes nothing",)),
        ("Compose(\n Resize(size=64)\n ToTensor()\n)",
         ("rgb", (0,), (255,), None, None, None, "antialias"), ("nothing is cropped",)),
    ],
)  # fmt: skip
def test_torchvision(text: str, expected: Any, notes: tuple[str, ...], tmp_path: Path) -> None:
    known = read_known(write(tmp_path / "transforms.txt", text))
    assert told(known) == expected
    assert len(known.notes) == len(notes) and known.resize == (256 if text == COMPOSED else None)
    assert all(note in said for note, said in zip(notes, known.notes, strict=True))


@pytest.mark.parametrize(
    ("task", "fit", "interpolation", "padding"),
    [("detect", "letterbox", "bilinear", 114), ("classify", "crop", "antialias", None)],
)
def test_ultralytics(task: str, fit: str, interpolation: str, padding: Any, tmp_path: Path) -> None:
    told_by = {
        "description": "Ultralytics YOLO11n model", "author": "Ultralytics", "task": task,
        "imgsz": "[480, 640]", "names": "{0: 'person', 10: \"fire hydrant\", 2: 'car'}",
    }  # fmt: skip
    known = read_known(onnx_file(tmp_path / "yolo.onnx", told_by))
    assert told(known) == ("rgb", (0,), (255,), 640, 480, fit, interpolation)
    assert known.padding == padding and known.labels == ("person", "car", "fire hydrant")


def onnx_file(path: Path, metadata: dict[str, str]) -> Path:
    graph = onnx.helper.make_graph([], "empty", [], [])
    model = onnx.helper.make_model(graph)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, str(path))
    return path


def test_a_manifest_and_a_part_of_one(tmp_path: Path) -> None:
    manifest = 'schema = 1\n[input]\nwidth = 48\ncolour = "bgr"\nstd = [255.0]\ndtype = "int8"\n'
    known = read_known(write(tmp_path / "manifest.toml", manifest))
    assert (known.width, known.colour, known.std, known.mean) == (48, "bgr", (255.0,), None)
    with pytest.raises(Refused, match=r"x.toml:2: .*interpolation.*bicubic"):
        read_known(write(tmp_path / "x.toml", '[input]\ninterpolation = "bicubic"\n'))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("config.json", {"architectures": ["x"]}, "says nothing of preprocessing"),
        ("config.json", "{", "config.json: "),
        ("config.json", {"input_size": [3, 8, 8], "interpolation": "best"}, "'best' is none of"),
        ("preprocessor_config.json", VIT | {"resample": 9}, "resample 9 is none of Pillow's"),
        ("x.txt", "nothing", "is no torchvision transform"),
        ("x.toml", "a = 1\n", r"has no table \[input\]"),
        ("x.yaml", "", "name a file that ends with .json, .toml, .txt or .onnx"),
        ("x.onnx", "\xff", "is no ONNX model"),
    ],
)
def test_what_says_nothing(name: str, content: object, why: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=why):
        read_known(write(tmp_path / name, content))


def test_a_file_of_onnx_that_is_not_ultralytics(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="metadata says nothing of preprocessing"):
        read_known(onnx_file(tmp_path / "x.onnx", {"author": "me"}))
    with pytest.raises(Refused, match=r"has none of preprocessor_config\.json"):
        read_known(tmp_path)


MODEL = Input(224, 224, "rgb", "NHWC", "int8", scale=0.02, zero_point=3)


def test_what_is_known_is_carried_into_a_models_input() -> None:
    known = Preprocessing(
        width=224, layout="NCHW", colour="bgr", mean=(1.0,), std=(2.0,), fit="crop", notes=("so",)
    )
    result = carried(known, MODEL)
    assert result.notes == ("so",)
    assert result.input == msgspec.structs.replace(
        MODEL, colour="bgr", mean=(1.0,), std=(2.0,), fit="crop"
    )
    assert carried(Preprocessing(), MODEL) == type(result)(MODEL, ())


def test_a_resize_is_carried_with_its_crop_and_only_to_the_same_size() -> None:
    known = Preprocessing(width=224, height=224, fit="crop", resize=256)
    assert carried(known, MODEL).input.resize == 256
    other = carried(known, msgspec.structs.replace(MODEL, width=192, height=192))
    assert (other.input.resize, len(other.notes)) == (None, 1)
    like = msgspec.structs.replace(MODEL, fit="crop", resize=240)
    assert carried(Preprocessing(fit="stretch"), like).input.resize is None
    assert carried(Preprocessing(fit="crop"), like).input.resize is None
    assert carried(Preprocessing(mean=(1.0,)), like).input.resize == 240


def test_what_does_not_fit_the_network_is_said() -> None:
    known = Preprocessing(width=256, height=256, colour="rgb", mean=(1.0, 2.0, 3.0), fit="crop")
    wanted = Input(224, 224, "grey", "NHWC", "float32")
    result = carried(known, wanted)
    assert result.input == msgspec.structs.replace(wanted, fit="crop")
    assert "rgb, the network takes one channel" in result.notes[0]
    assert "256x256 pixels, the network takes 224x224" in result.notes[1]


@pytest.mark.parametrize(
    ("line", "std"),
    [
        ("inputs times 0.00784314, plus -1", 1),
        ("inputs times (0.0171248, 0.0175070, 0.0174292), plus (-2.1179, -2.0357, -1.8044)", 1),
        ("inputs times 1, plus (-103.939, -116.779, -123.68)", 1),
        ("inputs times 1e-05, plus 0", 1),
        ("inputs times (4.36681, 4.46429, 4.44444), plus (-2.1179, -2.0357, -1.8044)", 255),
        ("inputs times 2, plus -1", 255),
        ("layer normalize: (x - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)", 255),
        ("layer 0.norm: (x - (123.675, 116.28, 103.53)) / (58.395, 57.12, 57.375)", 1),
    ],
)
def test_a_network_that_scales_by_itself(line: str, std: float) -> None:
    known = inside(("RandomFlip (a) is of the training and does nothing here", line))
    assert known is not None
    assert (known.mean, known.std, known.colour) == ((0,), (std,), None)
    assert line in known.notes[0] and known.source == "the network itself"


def test_a_network_of_which_nothing_can_be_told() -> None:
    for words in ((), ("resizes to 224 x 224, bilinear (r)",), ("the order is turned round",)):
        assert inside(words) is None


@pytest.mark.parametrize(
    ("kernel", "antialias", "interpolation", "exact"),
    [
        ("bilinear", True, "antialias", True), ("bilinear", False, "bilinear", True),
        ("bicubic", True, "antialias-bicubic", True), ("bicubic", False, "bilinear", False),
        ("lanczos", True, "antialias-bicubic", False), ("hamming", True, "area", False),
        ("box", True, "area", True), ("nearest", False, "nearest", True),
        ("nearest", True, "nearest-exact", True),
    ],
)  # fmt: skip
def test_the_closest_interpolation(
    kernel: Any, antialias: bool, interpolation: str, exact: bool
) -> None:
    found, note = closest(kernel, antialias)
    assert found == interpolation and (note == "") == exact
    assert exact or f"{interpolation} comes closest" in note
