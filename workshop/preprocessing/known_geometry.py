"""Cropping in words: what part of a picture a training looks at."""

from __future__ import annotations


def cropped(resized: int, crop: int) -> str:
    """What is to be said where a picture's shorter side becomes `resized` pixels, and the middle
    `crop` of them are taken: the runtime's fit = "crop" takes all of the shorter side."""
    if resized == crop:
        return ""
    share = crop / resized
    return (
        f"the training looks at the middle {crop} of {resized} pixels ({share:.3f}): "
        'fit = "crop" shows all of them'
    )


def uncropped(resized: int) -> str:
    """What is to be said where a picture's shorter side becomes `resized`, and that is all."""
    return (
        f"the shorter side becomes {resized} and nothing is cropped: sizes vary, and the "
        "network's is fixed"
    )
