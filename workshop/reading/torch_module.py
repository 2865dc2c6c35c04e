"""A torch.nn.Module that the user's code makes, by its import path."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from wire.troubles import Refused
from workshop.reading import Read, Request
from workshop.reading.shapes import fixed_port
from workshop.reading.torch_opening import open_module, place_of
from workshop.reading.torch_program import Network, import_torch
from workshop.reading.torch_steps import LOADING, STEPS, finish
from workshop.step import say


def step(request: Request) -> Read:
    """Import and run the code that makes the module. Raises Refused where it does not give one."""
    say(LOADING, 0, STEPS)
    torch = import_torch()
    place = place_of(request.path)
    module = open_module(place, Path(request.folder or ".").resolve(), request.seed)
    takes = fixed_port(
        place.words, "input", _size(module), "float32", request.input_shape, "1,3,224,224"
    )
    count = sum(each.numel() for each in module.parameters())
    weights = (
        f"weights of {Path(place.weights).name}"
        if place.weights is not None
        else f"weights as it makes them, seed {request.seed}"
    )
    made = f"{type(module).__name__} with {count} weights"
    steps = [f"made by torch {torch.__version__}: {made}, {weights}"]
    network = Network(place.words, _one_input(module, place.words), takes)
    return finish(request, network, steps, in_graph=tuple(_normalizing(module)))


def _one_input(module: Any, where: str) -> Any:
    """Raises Refused if it cannot be called with one tensor."""
    taken = inspect.signature(module.forward).parameters
    needed = [
        name
        for name, each in taken.items()
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(needed) > 1:
        raise Refused(
            f"{where}: its forward needs {', '.join(needed)}; the runtime gives one tensor: make a "
            "module around it that gives it the others"
        )
    return module


def _size(module: Any) -> tuple[int | None, ...] | None:
    """The input's shape where the module says it: as Lightning's or as timm's do."""
    shown = getattr(module, "example_input_array", None)
    if shown is not None and hasattr(shown, "shape"):
        return (1, *map(int, shown.shape[1:]))
    for name in ("pretrained_cfg", "default_cfg"):
        described = getattr(module, name, None)
        if isinstance(described, dict) and described.get("input_size"):
            return (1, *map(int, described["input_size"]))
    return None


def _normalizing(module: Any) -> list[str]:
    """Layers that do what is otherwise done to a picture before it is given to a network."""
    return [
        f"layer {name}: (x - {_numbers(each.mean)}) / {_numbers(each.std)}"
        for name, each in module.named_modules()
        if type(each).__name__ == "Normalize" and hasattr(each, "mean") and hasattr(each, "std")
    ]


def _numbers(values: Any) -> str:
    plain = values.flatten().tolist() if hasattr(values, "flatten") else list(values)
    return f"({', '.join(f'{value:.6g}' for value in plain)})"
