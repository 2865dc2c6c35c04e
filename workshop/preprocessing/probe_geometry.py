"""Which part of a picture a preprocessing shows, told from slopes and plain colours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.manifest import Input
from runtime.frames import Pixels, packed
from runtime.geometry import place
from wire.troubles import Refused
from workshop.preprocessing.asking import Floats, Seen
from workshop.preprocessing.probe_pictures import LANDSCAPE

NEAR = 0.02  # of the picture: shown edges that are this near are the same
BESIDE = 0.02  # of black to white: what changes less shows nothing of the picture


@dataclass(frozen=True)
class Shown:
    """left, right, top, bottom: of the picture of size LANDSCAPE what is shown, in shares of it.
    first: column and row of the tensor where it begins, in shares of the tensor.

    padding: the pixel value beside it, None where nothing is beside it. alike: whether that is the
    same for all channels.
    """

    left: float
    right: float
    top: float
    bottom: float
    first: tuple[float, float]
    padding: int | None = None
    alike: bool = True

    def words(self, best: Input) -> str:
        """Why the runtime with these settings is not the same."""
        placement = place(best, packed("RGB3", *LANDSCAPE))
        view, target = placement.view, placement.target
        edges = (
            view.x0 / LANDSCAPE[0], (view.x0 + view.step_x * best.width) / LANDSCAPE[0],
            view.y0 / LANDSCAPE[1], (view.y0 + view.step_y * best.height) / LANDSCAPE[1],
        )  # fmt: skip
        ours = tuple(min(max(edge, 0.0), 1.0) for edge in edges)
        theirs = (self.left, self.right, self.top, self.bottom)
        if self.left > self.right or self.top > self.bottom:
            return "the training mirrors the picture"
        if max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) > NEAR:
            return f"the training shows {_spans(theirs)} of a picture, the runtime {_spans(ours)}"
        begins = (target.x / best.width, target.y / best.height)
        if max(abs(a - b) for a, b in zip(begins, self.first, strict=True)) > NEAR:
            return "the training pads on one side only, the runtime on both: the middle is shown"
        if not self.alike:
            return "beside the picture the training puts other values into each channel"
        return "both show the same part of a picture, and scale it by other rules"


def size_of(
    answers: dict[str, Seen], pictures: dict[str, Pixels], name: str
) -> tuple[int, int] | None:
    """(width, height) of what comes out; None where that is the size of what went in. Raises
    Refused where it depends on the picture."""
    sizes = {each: (seen.real.shape[1], seen.real.shape[0]) for each, seen in answers.items()}
    if len(set(sizes.values())) == 1:
        return sizes["black"]
    if all(sizes[each] == pictures[each].shape[1::-1] for each in sizes):
        return None
    some = sorted(set(sizes.values()))[:3]
    raise Refused(
        f"{name}: gives pictures of {', '.join(f'{w}x{h}' for w, h in some)}, by the size of what "
        "it gets: the network takes one size"
    )


def shown_by(answers: dict[str, Seen], mean: tuple[float, ...], std: tuple[float, ...]) -> Shown:
    """From the slopes, and from what black and white leave alone."""
    scale, first = np.array(std, np.float32), np.array(mean, np.float32)
    pixels: dict[str, Floats] = {
        each: answers[each].real * scale + first
        for each in ("black", "white", "black upright", "white upright", "across", "down")
    }
    shows = (pixels["white"] - pixels["black"]).mean(axis=2) > 255 * BESIDE
    rows, columns = np.flatnonzero(shows.any(axis=1)), np.flatnonzero(shows.any(axis=0))
    inside = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    left, right = _edges(pixels["across"][inside].mean(axis=(0, 2)), LANDSCAPE[0])
    top, bottom = _edges(pixels["down"][inside].mean(axis=(1, 2)), LANDSCAPE[1])
    beside = [_beside(pixels, which) for which in ("black", "black upright")]
    found = next((each for each in beside if each is not None), None)
    begins = (int(columns[0]) / shows.shape[1], int(rows[0]) / shows.shape[0])
    if found is None:
        return Shown(left, right, top, bottom, begins)
    alike = float(found.max() - found.min()) <= 1
    return Shown(
        left, right, top, bottom, begins, round(float(np.clip(found.mean(), 0, 255))), alike
    )


def _beside(pixels: dict[str, Floats], black: str) -> Floats | None:
    """The pixel value of each channel where the picture is not, if there is such a place."""
    white = pixels[black.replace("black", "white")]
    empty = np.abs(white - pixels[black]).max(axis=2) < 255 * BESIDE
    if not empty.any():
        return None
    values: Floats = np.median(pixels[black][empty], axis=0)
    return values


def _edges(slope: Floats, side: int) -> tuple[float, float]:
    """Where a slope from 0 to 255 over `side` pixels begins and ends, in shares of it."""
    place = slope.astype(np.float64) * (side - 1) / 255 + 0.5
    count = len(place)
    cut = count // 8  # edges are repeated, and interpolated otherwise
    steps = np.arange(count)[cut : count - cut]
    step, first = np.polyfit(steps, place[cut : count - cut], 1) if len(steps) > 1 else (0.0, 0.0)
    return float(first - step / 2) / side, float(first + step * (count - 0.5)) / side


def _spans(edges: tuple[float, ...]) -> str:
    left, right, top, bottom = (round(100 * each, 1) for each in edges)
    return f"{left:g} to {right:g} % across and {top:g} to {bottom:g} % down"
