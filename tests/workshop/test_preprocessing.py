"""Preprocessing in torch, Pillow and Keras: found by probing, and the same in the runtime."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from models.manifest import Input
from workshop.preprocessing import CLOSE, Preprocessing, carried
from workshop.preprocessing.agreement import Agreement, agreement, check_agreement, first_pictures
from workshop.preprocessing.asking import Function, seen
from workshop.preprocessing.probe_pictures import make_probes, texture
from workshop.preprocessing.probing import Probed, read_answers
from workshop.samples.opening import open_samples

Array = Any
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def torch_resized(size: tuple[int, int], **options: Any) -> Callable[[Array], Array]:
    """size: height, width."""
    import torch

    def function(picture: Array) -> Array:
        floats = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        small = torch.nn.functional.interpolate(floats, size, **options)
        mean, std = (torch.tensor(each).view(1, 3, 1, 1) for each in (MEAN, STD))
        return ((small - mean) / std).numpy()

    return function


def torch_letterboxed(picture: Array) -> Array:
    import torch
    from torch.nn import functional

    floats = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    scale = 320 / max(picture.shape[:2])
    size = [round(side * scale) for side in picture.shape[:2]]
    small = functional.interpolate(floats, size, mode="bilinear", align_corners=False)
    top, left = ((320 - side) // 2 for side in size)
    around = (left, 320 - left - size[1], top, 320 - top - size[0])
    return functional.pad(small, around, value=114 / 255)[0].numpy()


def pillow(how: str, *arguments: Any, **options: Any) -> Callable[[Array], Array]:
    from PIL import Image, ImageOps

    def function(picture: Array) -> Array:
        image = Image.fromarray(picture)
        made = image.resize(*arguments, **options) if how == "resize" else (
            getattr(ImageOps, how)(image, *arguments, **options)
        )  # fmt: skip
        return np.asarray(made, np.float32) / 127.5 - 1

    return function


def cropped_after(resized: int, crop: int) -> Callable[[Array], Array]:
    """As torchvision's Resize and CenterCrop do it with Pillow's pictures."""
    from PIL import Image

    def function(picture: Array) -> Array:
        image = Image.fromarray(picture)
        scale = resized / min(image.size)
        wide, tall = (int(side * scale) for side in image.size)
        left, top = round((wide - crop) / 2), round((tall - crop) / 2)
        small = image.resize((wide, tall), Image.Resampling.BILINEAR)
        return np.asarray(small.crop((left, top, left + crop, top + crop)), np.float32) / 255

    return function


def keras_resized(*arguments: Any, **options: Any) -> Callable[[Array], Array]:
    from keras import layers

    resize, scale = layers.Resizing(*arguments, **options), layers.Rescaling(1 / 127.5, -1)
    return lambda picture: np.asarray(scale(resize(picture)))


def pipelines() -> dict[str, Callable[[Array], Array]]:
    from PIL.Image import Resampling

    return {
        "torch bilinear": torch_resized((224, 224), mode="bilinear", align_corners=False),
        "torch antialias": torch_resized((224, 224), mode="bilinear", antialias=True),
        "torch bicubic": torch_resized((192, 224), mode="bicubic", antialias=True),
        "torch nearest": torch_resized((96, 128), mode="nearest"),
        "torch letterbox": torch_letterboxed,
        "pillow bilinear": pillow("resize", (224, 224), Resampling.BILINEAR),
        "pillow bicubic": pillow("resize", (224, 224), Resampling.BICUBIC),
        "pillow nearest": pillow("resize", (160, 120), Resampling.NEAREST),
        "pillow box": pillow("resize", (160, 120), Resampling.BOX),
        "pillow fit": pillow("fit", (224, 224), Resampling.BILINEAR),
        "pillow pad": pillow("pad", (256, 256), Resampling.BICUBIC, color=(128, 128, 128)),
        "torchvision": cropped_after(256, 224),
        "torchvision, less": cropped_after(232, 224),
        "keras": keras_resized(96, 96),
        "keras crop": keras_resized(160, 160, crop_to_aspect_ratio=True),
        "keras pad": keras_resized(192, 192, pad_to_aspect_ratio=True, fill_value=7),
        "keras nearest": keras_resized(96, 96, interpolation="nearest"),
    }


BEYOND: dict[str, tuple[Callable[[], Callable[[Array], Array]], str]] = {
    "torch area": (lambda: torch_resized((96, 128), mode="area"), "scales pictures by other rules"),
    "keras bicubic": (
        lambda: keras_resized(96, 96, interpolation="bicubic"), "scales pictures by other rules",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Array]:
    """Two photographs, two textures, and what a camera sees."""
    from sklearn.datasets import load_sample_images

    folder = tmp_path_factory.mktemp("pictures")
    photographs = load_sample_images()
    shown = [*photographs.images, texture((800, 600), 11), texture((480, 640), 12)]
    for number, picture in enumerate(shown):
        cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
    found = dict(zip(*first_pictures(open_samples(str(folder))), strict=True))
    scenes = first_pictures(open_samples("synthetic://640x480?digits=3", limit=2))
    return found | dict(zip(*scenes, strict=True))


def probed(function: Callable[[Array], Array]) -> Probed:
    made = make_probes().pictures.items()
    answers = {name: seen(np.asarray(function(each), np.float32), "it") for name, each in made}
    return read_answers(answers, "it")


def model_for(known: Preprocessing) -> Input:
    assert known.width is not None and known.height is not None and known.layout is not None
    model = Input(known.width, known.height, known.colour or "rgb", known.layout, "float32")
    return carried(known, model).input


def compared(function: Callable[[Array], Array], wanted: Input, shown: Any) -> Agreement:
    reals = [seen(np.asarray(function(each), np.float32), "it").real for each in shown.values()]
    return agreement(reals, list(shown.values()), list(shown), wanted)


def test_the_runtime_agrees_with_every_training(pictures: dict[str, Array]) -> None:
    apart = {}
    for name, function in pipelines().items():
        found = probed(function)
        result = compared(function, model_for(found.known), pictures)
        apart[name] = round(result.mean, 2), round(result.p99, 1), found.known.interpolation
    assert all(mean <= CLOSE for mean, _, _ in apart.values()), apart


@pytest.mark.parametrize("name", BEYOND)
def test_what_the_runtime_has_no_setting_for_is_said(name: str, pictures: Any) -> None:
    make, why = BEYOND[name]
    function = make()
    found = probed(function)
    assert found.difference is not None and found.difference > CLOSE
    assert "come closest" in found.known.notes[0]
    result = compared(function, model_for(found.known), pictures)
    assert not result.agrees and result.mean > CLOSE
    assert why in result.notes[-1]


MINE = """
    import keras
    from keras import layers

    inputs = keras.Input((None, None, 3))
    scaled = layers.Rescaling(1 / 127.5, -1)(layers.Resizing(96, 96)(inputs))
    model = keras.Model(inputs, scaled)
"""


def test_a_model_of_keras_is_asked_in_its_own_process(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(textwrap.dedent(MINE))
    function = Function("mine:model", str(tmp_path))
    wanted = Input(96, 96, "rgb", "NHWC", "float32", (127.5,), (127.5,), fit="stretch")
    result = check_agreement(function, open_samples("synthetic://320x240", limit=4), wanted)
    assert result.agrees and result.mean < 0.5
