"""The classifier of the zoo: its network, its course of training and its card."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from card import figures, write_card
from fit import Course, fit, one_class
from network import Conv, Head, Network, folded, trainable
from pictures import Preparer, blown_up, distorted, one_digit
from publish import Recipe, Trained, publish
from samples import train_part

from models.manifest import Decoding
from runtime.cameras.scene import Samples

NETWORK = Network(
    height=48,
    width=48,
    body=(
        Conv(16, size=5, stride=2),
        Conv(32),
        Conv(48, stride=2),
        Conv(64, stride=2),
        Conv(64, residual=True),
    ),
    heads=(Head("scores", 10, "softmax", pooled=True),),
    dropout=0.25,
)
RECIPE = Recipe(
    name="digits",
    version="1",
    task="classify",
    decoding=Decoding(head="probabilities", top_k=3),
    golden_camera="synthetic://160x120?format=BGR3&seed=99",
)
COURSE = Course(epochs=16, batch=128, rate=4e-3)
ROUNDS, PER_ROUND = 24, 1600
HELD_OUT = 450
CAMERAS = {
    f"synthetic://{size}?digits=1&seed={seed}": HELD_OUT
    for size in ("320x240", "640x480", "1280x720")
    for seed in (0, 1)
}

CARD = """# digits: which handwritten digit is it?

Input: 48x48 grey, letterboxed, real = pixel / 255. Output: ten probabilities. Version 1.

**How trained.** `scripts/train-digits`: a network of six small convolutions and a global mean,
from scratch, on 38,400 pictures drawn by the synthetic camera's own code of the 1,347 samples that
are not held out: three of four a little turned, slanted or stretched, the digit anywhere in the
frame at 0.6 to 1.0 of its height, frames of 160x90 to 640x480, every tenth a bare sample that fills
the frame; exposure and noise vary anew at each step. AdamW, cosine schedule, 16 epochs, seeded.
Quantised after training, per channel: full-integer TFLite (int8 in and out), and Q/DQ ONNX with
symmetric int8 and float biases.

**Source and licence.** Digits: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten
Digits, UCI, CC BY 4.0, as scikit-learn ships it (see ../README.md). Weights: Apache-2.0, as this
project.

**Top-1 accuracy** on the 450 held-out samples, each shown once per row, through the runtime's own
prepare, engine and decode:

TABLE

**Limits.** One digit at a time, bright on a darker ground, upright, at least half as high as the
frame. It was never shown anything that is no digit, and calls such things a digit too. The digits
come from 13 writers who are not named in the set, so a hand may be in both parts: expect less from
a new hand.
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
        for one in one_digit(
            distorted(samples, rng) if turn % 4 else samples, PER_ROUND, prepare, rng
        )
    ]
    pictures = np.stack([one.pixels for one in seen])
    labels = np.array([[one.boxes[0].index] for one in seen], np.float32)
    print(f"{len(pictures)} pictures of {len(samples)} samples")
    model = trainable(NETWORK)
    fit(model, pictures, labels, one_class, COURSE)
    bare = [prepare(*blown_up(image, 96)).pixels for image in samples.images[:20]]
    trained = Trained(NETWORK, *folded(NETWORK, model), np.concatenate([pictures[::100], bare]))
    publish(folder, RECIPE, trained)
    write_card(folder, CARD, figures(folder, RECIPE, trained, CAMERAS), HELD_OUT)
