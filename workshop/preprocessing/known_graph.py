"""What a network that scales its input by itself leaves to do: nothing, or a division by 255."""

from __future__ import annotations

import re

from workshop.preprocessing import Preprocessing

# as the readers of `workshop.reading` say it
AFFINE = re.compile(r"inputs times (?P<times>.+), plus (?P<plus>.+)")
LAYER = re.compile(r"layer .*: \(x - \((?P<mean>[^()]+)\)\) / \((?P<std>[^()]+)\)")
SMALL = 1 / 20  # who multiplies by less expects 0 to 255
LARGE = 5.0  # who takes away or divides by more, too


def inside(words: tuple[str, ...]) -> Preprocessing | None:
    """What is left to do before a network that does this with its input; None where that tells
    nothing. words: `in_graph` of what a reader says of it.

    Nobody says whether an input goes to 1 or to 255: what the network does with it tells.
    """
    for line in words:
        affine, layer = AFFINE.fullmatch(line), LAYER.fullmatch(line)
        if affine is not None:
            bytes_in = _most(affine["times"]) < SMALL or _most(affine["plus"]) > LARGE
        elif layer is not None:
            bytes_in = max(_most(layer["mean"]), _most(layer["std"])) > LARGE
        else:
            continue
        note = f"the network takes {'0 to 255' if bytes_in else '0 to 1'}, by what it does: {line}"
        std = 1.0 if bytes_in else 255.0
        return Preprocessing(mean=(0.0,), std=(std,), source="the network itself", notes=(note,))
    return None


def _most(numbers: str) -> float:
    """The largest of `1`, or of `(1, 2, 3)`, without regard to its sign."""
    return max(abs(float(each)) for each in numbers.strip("()").split(","))
