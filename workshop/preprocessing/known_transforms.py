"""Preprocessing as torchvision's transforms describe themselves when they are printed."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, get_args

from wire.troubles import Refused
from workshop.preprocessing import Kernel, Preprocessing, closest
from workshop.preprocessing.known_geometry import (
    Geometry,
    cropped,
    stretched,
    uncropped,
    unresized,
)

TRANSFORM = re.compile(r"([A-Za-z_]\w*)\(([^()]*(?:\([^()]*\)[^()]*)*)\)")
OPTION = re.compile(r"(\w+)=(\[[^\]]*\]|\([^)]*\)|[^,\s]+)")
COMPOSED = re.compile(r"^\s*(Compose|Sequential)\((.*)\)\s*$", re.DOTALL)
SILENT = ("ToPILImage", "ToImage", "ToTensor", "PILToTensor", "ConvertImageDtype", "ToDtype",
          "RGB", "ToPureTensor", "Identity", "InterpolationMode")  # fmt: skip
SCALING = ("ToTensor", "ConvertImageDtype")

Options = dict[str, Any]


class _Reading:
    """What the transforms before this one have done."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        self.divided = 1.0  # by what pixels were divided
        self.resized: tuple[int, int] | int | None = None
        self.crop: tuple[int, int] | None = None
        self.interpolation: Any = None
        self.mean: tuple[float, ...] | None = None
        self.std: tuple[float, ...] | None = None
        self.grey = False

    def resize(self, size: Any, options: Options) -> None:
        self.resized = _side_or_both(size)
        kernel = str(options.get("interpolation", "bilinear")).rpartition(".")[2].lower()
        if kernel not in get_args(Kernel):
            raise Refused(f"{self.path}: Resize with interpolation {kernel!r} is not known here")
        antialias = options.get("antialias", True) not in (False, None, "False", "None")
        self.interpolation, note = closest(kernel, antialias)  # type: ignore[arg-type]
        self.notes.append(note)

    def normalize(self, mean: Any, std: Any) -> None:
        self.mean = tuple(float(each) * self.divided for each in mean)
        self.std = tuple(float(each) * self.divided for each in std)

    def known(self) -> Preprocessing:
        shown = self._geometry()
        return Preprocessing(
            width=shown.width, height=shown.height, fit=shown.fit, resize=shown.resize,
            colour="grey" if self.grey else "rgb", layout="NCHW",
            mean=(0.0,) if self.mean is None else self.mean,
            std=(self.divided,) if self.std is None else self.std,
            interpolation=self.interpolation, source=f"{self.path.name} of torchvision",
            notes=tuple(filter(None, (*self.notes, *shown.notes))),
        )  # fmt: skip

    def _geometry(self) -> Geometry:
        if isinstance(self.resized, tuple):
            return stretched(self.resized, self.crop)
        if self.resized is None:
            return unresized(self.crop)
        return uncropped(self.resized) if self.crop is None else cropped(self.resized, self.crop)


def read_transforms(text: str, path: Path) -> Preprocessing:
    """The text that print(transform) gives: a Compose, one transform, or a preset of weights
    (`ImageClassification(crop_size=[224] ...)`). Raises Refused."""
    whole = COMPOSED.match(text)
    found = TRANSFORM.findall(whole[2] if whole else text)
    if not found:
        raise Refused(f"{path}: is no torchvision transform as print() shows it")
    reading = _Reading(path)
    for name, inside in found:
        _take(reading, name, {key: _value(value) for key, value in OPTION.findall(inside)})
    return reading.known()


def _take(reading: _Reading, name: str, options: Options) -> None:
    if name == "Resize" and options.get("size") is not None:
        reading.resize(options["size"], options)
    elif name == "CenterCrop":
        reading.crop = _both(options["size"])
    elif name == "Normalize":
        reading.normalize(options["mean"], options["std"])
    elif name == "Grayscale":
        reading.grey = options.get("num_output_channels", 1) == 1
    elif name == "ImageClassification":
        reading.resize(_one(options["resize_size"]), options)
        reading.crop = _both(options["crop_size"])
        reading.divided = 255.0
        reading.normalize(options["mean"], options["std"])
    elif name in SCALING or (name == "ToDtype" and options.get("scale") is True):
        reading.divided = 255.0
    elif name not in SILENT:
        reading.notes.append(f"{name} is not known here: check that the runtime needs not do it")


def _value(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _one(size: Any) -> Any:
    return size[0] if isinstance(size, list | tuple) and len(size) == 1 else size


def _side_or_both(size: Any) -> tuple[int, int] | int:
    """A number, of the shorter side; or (width, height)."""
    size = _one(size)
    return int(size) if isinstance(size, int) else (int(size[1]), int(size[0]))


def _both(size: Any) -> tuple[int, int]:
    size = _side_or_both(size)
    return size if isinstance(size, tuple) else (size, size)
