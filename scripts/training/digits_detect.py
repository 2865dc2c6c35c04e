"""The detector of the zoo: its network, its course of training and its card."""

from __future__ import annotations

from pathlib import Path

import cells
import keras
import numpy as np
from card import figures, write_card
from fit import Course, fit
from network import Conv, Head, Network, folded, trainable
from pictures import Preparer, distorted, several_digits
from publish import Recipe, Trained, publish
from samples import train_part

from models.manifest import Decoding
from runtime.cameras.scene import Samples

CELL = 8  # pixels of the input: three convolutions halve it
NETWORK = Network(
    height=120,
    width=160,
    body=(
        Conv(12, stride=2),
        Conv(24, stride=2),
        Conv(48, stride=2),
        Conv(48, residual=True),
        Conv(48, residual=True),
        Conv(48, dilation=2, residual=True),
    ),
    heads=(
        Head("scores", 10, "sigmoid", bias=-4.0),
        Head("boxes", 4, "relu", bias=2.0),
    ),
)
RECIPE = Recipe(
    name="digits-detect",
    version="1",
    task="detect",
    decoding=Decoding(head="fcos", min_score=0.3, max_overlap=0.45, nms="class-agnostic"),
    golden_camera="synthetic://320x240?format=BGR3&digits=5&seed=99",
)
COURSE = Course(epochs=16, batch=32, rate=3e-3)
ROUNDS, PER_ROUND = 10, 1200
FRAMES = 300
CAMERAS = {
    f"synthetic://{size}?digits={digits}": FRAMES
    for size in ("320x240", "640x480", "1280x720")
    for digits in (2, 6, 12)
}
CARD = """# digits-detect: where are which handwritten digits?

Input: 160x120 grey, letterboxed, real = pixel / 255. Version 1. Outputs, for each of 15 x 20 cells
of 8 pixels: `scores`, ten probabilities, and `boxes`, the distances from the middle of the cell to
the left, top, right and bottom edge, in cells (the head of FCOS, Tian et al. 2019, on one level).
Boxes with a score of 0.3 or more stay; of those that overlap by more than 0.45 the best stays,
whatever their classes.

**How trained.** `scripts/train-digits-detect`: six convolutions from scratch on 12,000 pictures
with none to twelve digits, drawn by the synthetic camera's own code of the 1,347 samples that are
not held out, three of four a little turned, slanted or stretched; frames of 160x90 to 640x480,
exposure and noise vary anew at each step. The cells within one cell of a box's middle answer for
it; focal loss and IoU loss; AdamW, cosine schedule, 16 epochs, seeded. Quantised after training,
per channel: full-integer TFLite (int8 in and out), and Q/DQ ONNX with symmetric int8 and float
biases.

**Source and licence.** Digits: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten
Digits, UCI, CC BY 4.0, as scikit-learn ships it (see ../README.md). Weights: Apache-2.0, as this
project.

**mAP50** (VOC 2010, all points) on scenes of held-out samples, 300 frames per row, through the
runtime's own prepare, engine and decode:

TABLE

**One box for a digit.** A digit that looks like two is found as the surer one only: on these scenes
precision at the threshold is 98.3% and recall 98.7%. If boxes suppressed only those of their own
class, it would be 88.6% and 99.7%, and what counts or tracks digits would take the second box for
another one. mAP50 hardly minds an unsure second box: it would be 99.73% then, for the float network
99.72%.

**Limits.** Digits that are bright on a darker ground, upright, hardly overlap, and are at least a
seventh of the frame's height. The digits come from 13 writers who are not named in the set, so a
hand may be in both parts: expect less from a new hand.
"""


def train(folder: Path) -> None:
    """Render, fit, quantise, and write both variants and the card into `folder`."""
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    samples = Samples(*train_part())
    prepare = Preparer(NETWORK.width, NETWORK.height)
    seen = [
        one
        for turn in range(ROUNDS)  # every fourth round shows the samples as they were written
        for one in several_digits(
            distorted(samples, rng) if turn % 4 else samples, PER_ROUND, prepare, rng
        )
    ]
    pictures = np.stack([one.pixels for one in seen])
    wanted = cells.targets(seen, CELL, (NETWORK.height // CELL, NETWORK.width // CELL))
    print(f"{len(pictures)} pictures of {len(samples)} samples")
    model = trainable(NETWORK)
    fit(model, pictures, wanted, cells.loss, COURSE)
    trained = Trained(NETWORK, *folded(NETWORK, model), pictures[::40])
    publish(folder, RECIPE, trained)
    found = figures(folder, RECIPE, trained, CAMERAS)
    write_card(folder, CARD, found, FRAMES)
