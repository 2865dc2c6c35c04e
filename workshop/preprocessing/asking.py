"""Ask the training's own preprocessing what it makes of pictures, and see it as pictures again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from runtime.frames import Pixels
from wire.troubles import Refused
from workshop.preprocessing.training import Answered, Request
from workshop.step import Tell, run_step

Floats = npt.NDArray[np.float32]


class Function(Struct, frozen=True):
    """A training's preprocessing: `package.module:name`, found from this folder as Python would."""

    name: str
    folder: str


@dataclass(frozen=True)
class Seen:
    """What came of one picture. real: (height, width, channels), as the network gets it."""

    real: Floats
    layout: Literal["NHWC", "NCHW"]


def ask(function: Function, pictures: Sequence[Pixels], tell: Tell | None = None) -> list[Seen]:
    """Run the function on pictures, uint8 (height, width, 3) RGB, in a process of its own.
    Raises Refused, Unavailable."""
    with TemporaryDirectory(prefix="vedette-training-") as scratch:
        into = Path(scratch) / "answers"
        into.mkdir()
        files = []
        for number, picture in enumerate(pictures):
            files.append(str(Path(scratch) / f"{number}.npy"))
            np.save(files[-1], picture)
        request = Request(function.name, function.folder, tuple(files), str(into))
        answered = run_step("workshop.preprocessing.training", request, Answered, tell)
        return [seen(np.load(path), function.name) for path in answered.answers]


def seen(answer: Floats, name: str) -> Seen:
    """Take an answer apart, whatever its layout: with or without a batch of 1. Raises Refused."""
    whole = answer
    while answer.ndim > 3 and answer.shape[0] == 1:
        answer = answer[0]
    if answer.ndim == 2:
        return Seen(answer[:, :, None], "NHWC")
    if answer.ndim == 3 and answer.shape[2] in (1, 3):
        return Seen(answer, "NHWC")
    if answer.ndim == 3 and answer.shape[0] in (1, 3):
        return Seen(answer.transpose(1, 2, 0), "NCHW")
    raise Refused(
        f"{name}: gives an array of shape {whole.shape}: one picture of 1 or 3 channels is wanted"
    )
