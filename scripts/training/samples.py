"""The handwritten digits: which samples are held out, and which may be trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

ZOO = Path(__file__).resolve().parents[2] / "models" / "zoo"
HELD_OUT = ZOO / "digits-heldout.npz"
HELD_OUT_SHARE = 0.25
SEED = 2026

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.uint8]


def every_sample() -> tuple[Images, Labels]:
    """All 1,797 samples that scikit-learn ships: (n, 8, 8) ink counts 0 to 16, and their labels."""
    digits = load_digits()
    return digits.images.astype(np.uint8), digits.target.astype(np.uint8)


def hold_out() -> None:
    """Write the held-out part: stratified by label, drawn once with a fixed seed."""
    images, labels = every_sample()
    _, held_out = train_test_split(
        np.arange(len(labels)), test_size=HELD_OUT_SHARE, stratify=labels, random_state=SEED
    )
    index = np.sort(held_out).astype(np.uint16)
    np.savez_compressed(HELD_OUT, images=images[index], labels=labels[index], index=index)
    print(f"{HELD_OUT}: {len(index)} of {len(labels)} samples")


def train_part() -> tuple[Images, Labels]:
    """Every sample that is not in the committed held-out file."""
    images, labels = every_sample()
    with np.load(HELD_OUT) as file:
        kept = np.setdiff1d(np.arange(len(labels)), file["index"])
    return images[kept], labels[kept]


if __name__ == "__main__":
    hold_out()
