"""How far the tensors inside two networks are apart, summed up over samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from workshop.comparing.results import Layer, Layers

Tensor = npt.NDArray[Any]
Tensors = Callable[[Tensor, Sequence[str]], dict[str, Tensor]]  # for an input, those of some names

FEWEST = 0.3  # of the layers: names that are the same by chance tell nothing


class Pair(Struct, frozen=True):
    """Two files of one format. inputs: .npy files (n, *shape), as stored, of the same samples."""

    reference: str
    other: str
    reference_inputs: str
    other_inputs: str


@dataclass(frozen=True)
class Step:
    """One operator of a network, by the tensor that it gives. real: the tensor that has the same
    as real numbers, where that is another one."""

    tensor: str
    op: str
    real: str


@dataclass(frozen=True)
class Network:
    """What is needed of an opened network. run: real (dequantised) values of tensors."""

    steps: Sequence[Step]
    run: Tensors


@dataclass
class _Sums:
    """Of one layer: power of the reference, of the other, of both, and of the difference."""

    shape: tuple[int, ...] = ()
    reference: float = 0.0
    other: float = 0.0
    both: float = 0.0
    difference: float = 0.0
    is_odd: bool = False  # of different sizes, or no numbers: says nothing

    def add(self, one: Tensor | None, two: Tensor | None) -> None:
        if one is None or two is None or one.size != two.size or not one.size:
            self.is_odd = True
            return
        a, b = (each.astype(np.float64).reshape(-1) for each in (one, two))
        self.shape = tuple(int(side) for side in one.shape)
        self.reference += float(a @ a)
        self.other += float(b @ b)
        self.both += float(a @ b)
        self.difference += float(((a - b) ** 2).sum())
        self.is_odd |= not math.isfinite(self.reference + self.other)


def compare(reference: Network, other: Network, pair: Pair) -> Layers:
    """Every layer that both have, over all inputs."""
    matches, how = _matched(reference.steps, other.steps)
    if not matches:
        return Layers(why_not="no layer of one could be found again in the other")
    sums = [_Sums() for _ in matches]
    ours = [one.real for one, _ in matches]
    theirs = [two.real for _, two in matches]
    inputs = [np.load(file) for file in (pair.reference_inputs, pair.other_inputs)]
    for one_input, other_input in zip(*inputs, strict=True):
        ones, twos = reference.run(one_input, ours), other.run(other_input, theirs)
        for place, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            sums[place].add(ones.get(a), twos.get(b))
    layers = tuple(
        _layer(one, total) for (one, _), total in zip(matches, sums, strict=True)
        if not total.is_odd
    )  # fmt: skip
    unmatched = len(reference.steps) - len(layers)
    return Layers(layers, "", how, len(inputs[0]), unmatched)


def _matched(
    reference: Sequence[Step], other: Sequence[Step]
) -> tuple[list[tuple[Step, Step]], str]:
    """Pairs of layers, by the names of their tensors, else by the order of their operators."""
    known = {step.tensor: step for step in other}
    named = [(step, known[step.tensor]) for step in reference if step.tensor in known]
    if len(named) >= FEWEST * min(len(reference), len(other)):
        return named, "names"
    ours, theirs = ([step.op for step in steps] for steps in (reference, other))
    blocks = SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks()
    pairs = [
        (reference[block.a + place], other[block.b + place])
        for block in blocks for place in range(block.size)
    ]  # fmt: skip
    return pairs, "order of operators"


def _layer(step: Step, sums: _Sums) -> Layer:
    sqnr = None
    if sums.difference > 0:
        sqnr = 10 * math.log10(max(sums.reference, 1e-30) / sums.difference)
    length = math.sqrt(sums.reference * sums.other)
    cosine = sums.both / length if length else float(sums.reference == sums.other)
    return Layer(step.tensor, step.op, sums.shape, sqnr, min(1.0, cosine))
