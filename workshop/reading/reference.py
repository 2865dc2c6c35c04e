"""What the source framework itself answers to some inputs: by this a made file is proven."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wire.troubles import Refused
from workshop.reading import Port, Request

Tensor = npt.NDArray[Any]
Source = Callable[[Tensor], Sequence[Tensor]]


def write_reference(request: Request, takes: Port, reach: float, source: Source) -> str:
    """Ask the source and write `reference.npz`: `in0` and `out0`, `out1`, ..., each (n, *shape).

    reach: random inputs lie between 0 and this. Raises Refused for inputs that do not fit.
    """
    inputs = _wanted_inputs(request, takes)
    if inputs is None:
        inputs = random_inputs(takes, request.probes, reach, request.seed)
    answers = [[np.array(each) for each in source(one)] for one in inputs]
    file = Path(request.into) / "reference.npz"
    outputs = {f"out{place}": np.stack(each) for place, each in enumerate(zip(*answers))}  # noqa: B905
    np.savez(file, in0=inputs, **outputs)  # type: ignore[arg-type]
    return str(file)


def random_inputs(takes: Port, count: int, reach: float, seed: int) -> Tensor:
    """(count, *shape), uniform: floats from 0 to reach, integers over all that the dtype holds."""
    chance = np.random.default_rng(seed)
    size = (count, *takes.shape)
    if np.dtype(takes.dtype).kind in "iu":
        limits = np.iinfo(takes.dtype)
        return chance.integers(limits.min, limits.max, size, takes.dtype, endpoint=True)
    return chance.uniform(0, reach, size).astype(takes.dtype)


def _wanted_inputs(request: Request, takes: Port) -> Tensor | None:
    if request.probe_inputs is None:
        return None
    try:
        with open(request.probe_inputs, "rb") as file, np.load(file, allow_pickle=False) as given:
            inputs: Tensor = given["0"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise Refused(f"{request.probe_inputs}: is no .npz with an array `0`") from None
    if inputs.shape[1:] != takes.shape or not len(inputs):
        raise Refused(
            f"{request.probe_inputs}: its inputs are {inputs.shape[1:]}, and the network takes "
            f"{takes.shape}"
        )
    return inputs.astype(takes.dtype)
