"""The training's own preprocessing, run in a process of its own: it is the user's code."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from wire.troubles import Refused, one_line
from workshop.step import say

FORM = "write package.module:function"
Picture = npt.NDArray[np.uint8]
KEYS = ("pixel_values", "image", "images", "input")  # of what image processors return


class Request(Struct, frozen=True):
    """Which function, and for what. function: `package.module:name`, found from `folder`.

    pictures: .npy files, uint8 (height, width, 3) RGB each. into: a folder for the answers, of the
    same names.
    """

    function: str
    folder: str
    pictures: tuple[str, ...]
    into: str


class Answered(Struct, frozen=True):
    """takes: what the function was given: `array`, `batch`, or `picture` of Pillow."""

    takes: str
    answers: tuple[str, ...]


def step(request: Request) -> Answered:
    """Give every picture to the function. Raises Refused where it cannot be found, or fails."""
    function = _found(request)
    answers, takes = [], ""
    for number, file in enumerate(request.pictures):
        say("training's preprocessing", number, len(request.pictures))
        picture = np.load(file)
        if not takes:
            takes = _kind(function, picture, request.function)
        answer = _array(_called(function, takes, picture, request.function), request.function)
        path = Path(request.into) / Path(file).name
        np.save(path, answer)
        answers.append(str(path))
    return Answered(takes, tuple(answers))


def _found(request: Request) -> Callable[[Any], Any]:
    module, colon, name = request.function.partition(":")
    if not colon or not module or not name:
        raise Refused(f"{request.function!r} names no function: {FORM}")
    os.chdir(request.folder)
    sys.path.insert(0, request.folder)
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # whatever the user's code does
        raise Refused(f"{request.function}: cannot be imported: {_said(error)}") from None
    for word in name.split("."):
        if not hasattr(found, word):
            raise Refused(f"{request.function}: {module} has no {word!r}")
        found = getattr(found, word)
    if isinstance(found, type) or not callable(found):
        raise Refused(f"{request.function}: is no function that takes a picture: {FORM}")
    return found  # type: ignore[no-any-return]


def _kind(function: Callable[[Any], Any], picture: Picture, name: str) -> str:
    """What the function takes: an array, as it should; a batch of one, as Keras' models do; or a
    picture of Pillow, as torchvision and transformers do. Raises Refused with what it says to an
    array."""
    first: Exception | None = None
    for kind, given in GIVEN.items():
        try:
            function(given(picture))
        except Exception as error:
            first = first or error
        else:
            return kind
    assert first is not None
    raise Refused(f"{name}: fails on a uint8 array (height, width, 3) RGB: {_said(first)}")


def _called(function: Callable[[Any], Any], takes: str, picture: Picture, name: str) -> Any:
    try:
        return function(GIVEN[takes](picture))
    except Exception as error:
        height, width = picture.shape[:2]
        raise Refused(f"{name}: fails on a picture of {width}x{height}: {_said(error)}") from None


def _pillow(picture: Picture) -> Any:
    return importlib.import_module("PIL.Image").fromarray(picture)


GIVEN: dict[str, Callable[[Picture], Any]] = {
    "array": lambda picture: picture.copy(),  # it may be written to
    "batch": lambda picture: picture[None].copy(),
    "picture": _pillow,
}


def _array(answer: Any, name: str) -> npt.NDArray[Any]:
    """What frameworks give, as numbers: tensors, and what image processors wrap them in."""
    for key in KEYS:
        if not isinstance(answer, np.ndarray) and hasattr(answer, "keys") and key in answer:
            answer = answer[key]
    if isinstance(answer, list | tuple) and len(answer) == 1:
        answer = answer[0]
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu()
    array = np.asarray(answer)
    if array.dtype.kind not in "fiu":
        raise Refused(f"{name}: gives {type(answer).__name__}, and no array of numbers")
    return array.astype(np.float32)


def _said(error: Exception) -> str:
    """The error, and the line of the user's code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return one_line(f"{type(error).__name__}: {error}")[:300] + where
