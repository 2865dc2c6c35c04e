"""What part of a picture a training looks at: as the manifest's settings, or in words."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Size = tuple[int, int]
"""width, height."""

MOST = 2  # a manifest's `resize` is at most so many times the model's longer side


class Geometry(Struct, frozen=True):
    """How pictures are brought to a size, in the manifest's words; None: it is not known."""

    width: int | None = None
    height: int | None = None
    fit: Literal["stretch", "crop"] | None = None
    resize: int | None = None
    notes: tuple[str, ...] = ()


def cropped(resized: int, crop: Size) -> Geometry:
    """The shorter side becomes `resized`, and the middle `crop` is taken."""
    if resized > MOST * max(crop):
        note = (
            f"the training takes the middle {crop[0]}x{crop[1]} of {resized} pixels: the runtime's "
            f"resize goes to {MOST * max(crop)}"
        )
        return Geometry(*crop, "crop", None, (note,))
    return Geometry(*crop, "crop", resized if resized > max(crop) else None)


def stretched(size: Size, crop: Size | None = None) -> Geometry:
    """Pictures become this size, whatever their shape; and then the middle `crop` is taken."""
    if crop is None or crop == size:
        return Geometry(*size, "stretch")
    note = (
        f"the training stretches pictures to {size[0]}x{size[1]} and takes the middle "
        f'{crop[0]}x{crop[1]}: fit = "stretch" shows all of them'
    )
    return Geometry(*crop, "stretch", None, (note,))


def uncropped(resized: int) -> Geometry:
    """The shorter side becomes `resized`, and that is all."""
    note = (
        f"the shorter side becomes {resized} and nothing is cropped: sizes vary, and the "
        "network's is fixed"
    )
    return Geometry(notes=(note,))


def unresized(crop: Size | None) -> Geometry:
    """Pictures in their own size, of which perhaps the middle `crop` is taken."""
    note = "the training resizes nothing: fit is not known"
    width, height = crop or (None, None)
    return Geometry(width, height, notes=(note,))
