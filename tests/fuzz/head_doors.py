"""Doors of heads that find boxes: whatever a model's tensors hold, and a file of anchors."""

from __future__ import annotations

from contextlib import ExitStack
from math import isfinite
from pathlib import Path

import numpy as np

from runtime.tasks import Box, View
from runtime.tasks.anchors import read_anchors
from runtime.tasks.detect import make_decode
from tests.fuzz.door import Door, Opened
from tests.heads import HEADS, TALL, WIDE, specs_of

NAMES = tuple(HEADS)


def open_tensors(folder: Path, last: ExitStack) -> Opened:
    """The first byte chooses a head, the others are its outputs, over and over."""
    chance = np.random.default_rng(0)
    shapes = {name: head.given(head.outputs(chance)) for name, head in HEADS.items()}
    decoders = {
        name: make_decode(HEADS[name].manifest(min_score=0.1), specs_of(given), ())
        for name, given in shapes.items()
    }

    def attempt(content: bytes) -> None:
        name = NAMES[content[0] % len(NAMES)] if content else NAMES[0]
        stream = np.frombuffer(content[1:].ljust(4, b"\0")[: len(content) // 4 * 4 or 4], np.uint8)
        numbers = stream[: stream.size // 4 * 4].view(np.float32)
        outputs = tuple(np.resize(numbers, each.shape) for each in shapes[name])
        for box in decoders[name](outputs, View(WIDE, TALL, 0, 0, 1, 1)):
            assert isinstance(box, Box) and box.width > 0 and box.height > 0
            assert all(map(isfinite, (box.x, box.y, box.width, box.height, box.score)))

    seeds = tuple(
        bytes([NAMES.index(name)]) + b"".join(each.tobytes() for each in given)
        for name, given in shapes.items()
    )
    return Opened(attempt, seeds)


def open_anchors(folder: Path, last: ExitStack) -> Opened:
    """Anchors of somebody's model: what is taken has a size and lies near the picture."""
    path = folder / "anchors.csv"

    def attempt(content: bytes) -> None:
        path.write_bytes(content)
        anchors = read_anchors(path)
        assert anchors.shape[1] == 4 and np.isfinite(anchors).all() and (anchors[:, 2:] > 0).all()

    return Opened(attempt, (b"0.5,0.5,0.1,0.2\n0.25, 0.5, 1e-1, 1\n", b"cy,cx,h,w\n0,0,1,1\n"))


DOORS: tuple[Door, ...] = (
    Door("detect.tensors", "who packs a model", open_tensors),
    Door("detect.anchors", "who packs a model", open_anchors, words=(b"nan", b"1e-50", b"cx,")),
)
