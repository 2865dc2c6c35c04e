"""Find out what a training's preprocessing does, by showing it made pictures."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from msgspec import Struct

from models.manifest import Input
from wire.troubles import Refused
from workshop.preprocessing import CLOSE, Preprocessing
from workshop.preprocessing.asking import Floats, Function, Seen, ask
from workshop.preprocessing.probe_geometry import Shown, shown_by, size_of
from workshop.preprocessing.probe_pictures import COLOURS, make_probes
from workshop.preprocessing.settings import closest_input, cropped_after_resizing, every_scaling
from workshop.step import Tell

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as OpenCV, Pillow and TensorFlow have it
EXACT = 0.01  # of the range: by how much a straight line may be missed
SAME_LUMA = 0.02


class Probed(Struct, frozen=True):
    """What a function does. difference: of the runtime with these settings, in pixel values, mean
    over textures; None where it does not resize, and only colours can be told."""

    known: Preprocessing
    difference: float | None


def probe(function: Function, tell: Tell | None = None, seed: int = 0) -> Probed:
    """Raises Refused for a function of which no setting of the runtime can be told, Unavailable."""
    probes = make_probes(seed)
    answers = ask(function, list(probes.pictures.values()), tell)
    return read_answers(dict(zip(probes.pictures, answers, strict=True)), function.name, seed)


def read_answers(answers: dict[str, Seen], name: str, seed: int = 0) -> Probed:
    """What a function does that gave these answers to the probes of this seed. Raises Refused."""
    probes = make_probes(seed)
    pictures, textures = probes.pictures, probes.textures
    mean, std, colour = _line(answers, name)
    size = size_of(answers, pictures, name)
    layout = answers["black"].layout
    source = f"{name}, by what it makes of made pictures"
    told: dict[str, Any] = {
        "colour": colour, "mean": mean, "std": std, "layout": layout, "source": source,
    }  # fmt: skip
    if size is None:
        note = "the function resizes nothing: size, fit and interpolation cannot be told"
        return Probed(Preprocessing(**told, notes=(note,)), None)
    shown = shown_by(answers, mean, std)
    start = Input(*size, colour, layout, "float32", mean, std, padding=shown.padding or 0)
    reals, shown_to = [answers[each].real for each in textures], [pictures[t] for t in textures]
    best, apart = closest_input(reals, shown_to, every_scaling(start))
    if apart > CLOSE:
        other, with_it = cropped_after_resizing(reals, shown_to, start)
        best, apart = min((best, apart), (other, with_it), key=lambda one: one[1])
    notes = () if apart <= CLOSE else (_why(shown, best, apart),)
    known = Preprocessing(
        best.width, best.height, **told, fit=best.fit, resize=best.resize,
        interpolation=best.interpolation,
        padding=shown.padding, notes=notes,
    )  # fmt: skip
    return Probed(known, apart)


def _why(shown: Shown, best: Input, apart: float) -> str:
    closest = f'fit = "{best.fit}" and interpolation = "{best.interpolation}" come closest'
    return f"{closest}, {apart:.1f}/255 apart: {shown.words(best)}"


def _line(
    answers: dict[str, Seen], name: str
) -> tuple[tuple[float, ...], tuple[float, ...], Literal["rgb", "bgr", "grey"]]:
    """(mean, std, colour): real = (pixel - mean) / std. Raises Refused for what is none."""
    at = {each: _middle(answers[each].real) for each in COLOURS}
    slope = (at["white"] - at["black"]) / 255
    if not np.isfinite(slope).all() or (np.abs(slope) < 1e-9).any():
        raise Refused(
            f"{name}: makes the same of black and of white: it scales each picture by itself, or "
            "looks at something else: the runtime does (pixel - mean) / std"
        )
    if (slope < 0).any():
        raise Refused(f"{name}: makes less of white than of black: std cannot be negative")
    for grey in ("middle", "dark"):
        line = at["black"] + slope * COLOURS[grey][0]
        if (np.abs(at[grey] - line) > EXACT * 255 * slope).any():
            raise Refused(
                f"{name}: is not linear in the pixels (gamma, or scaled by each picture's own "
                "range): the runtime does (pixel - mean) / std"
            )
    parts = np.stack([(at[c] - at["black"]) / 255 / slope for c in ("red", "green", "blue")], -1)
    return _neat(-at["black"] / slope), _neat(1 / slope), _colour(parts, name)


def _colour(parts: np.ndarray[Any, Any], name: str) -> Literal["rgb", "bgr", "grey"]:
    """By the shares that red, green and blue have in each channel."""
    if len(parts) == 1 and np.abs(parts[0] - LUMA).max() < SAME_LUMA:
        return "grey"
    if len(parts) == 3 and np.abs(parts - np.eye(3)).max() < SAME_LUMA:
        return "rgb"
    if len(parts) == 3 and np.abs(parts - np.eye(3)[::-1]).max() < SAME_LUMA:
        return "bgr"
    shares = "; ".join(", ".join(f"{share:.2f}" for share in channel) for channel in parts)
    raise Refused(
        f"{name}: its channels are mixed of red, green, blue as {shares}: the runtime gives rgb, "
        "bgr, or grey as 0.30, 0.59, 0.11"
    )


def _middle(real: Floats) -> np.ndarray[Any, Any]:
    height, width = real.shape[:2]
    middle = real[height * 2 // 5 : height * 3 // 5 + 1, width * 2 // 5 : width * 3 // 5 + 1]
    values: np.ndarray[Any, Any] = np.median(middle.astype(np.float64), axis=(0, 1))
    return values


def _neat(values: np.ndarray[Any, Any]) -> tuple[float, ...]:
    """Without the noise of float32; one value where all are the same."""
    neat = tuple(float(f"{value:.6g}") if abs(value) > 1e-4 else 0.0 for value in values)
    return neat[:1] if len(set(neat)) == 1 else neat
