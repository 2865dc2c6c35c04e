"""A step: a float32 .tflite becomes one of another precision, by ai-edge-quantizer."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from wire.durable import write_durably
from wire.troubles import Refused, one_line
from workshop.quantizing import CALIBRATED, Layer, Made, Precision, Request
from workshop.quantizing.calibration import ranges_of
from workshop.quantizing.layers import chosen, heads, refuse_floats, told_floats
from workshop.quantizing.ranges import Ranges
from workshop.quantizing.tflite_network import WEIGHTY, Network, Operator, Watched, open_network
from workshop.step import say

STEPS = {
    "float16": "weights as float16 by ai-edge-quantizer",
    "dynamic": "weights as int8, per channel, activations rounded at run time, by "
    "ai-edge-quantizer",
    "int8": "weights (per channel, symmetric) and activations as int8 by ai-edge-quantizer",
    "int8x16": "weights as int8 (per channel), activations as int16 by ai-edge-quantizer",
}
NOTES = {
    "float16": "half the bytes; on a CPU as quick as float32, which it is brought back to there",
    "int8x16": "LiteRT has no quick kernels for int16: on a CPU it is many times slower than "
    "float32; meant for accelerators that have them",
}


def step(request: Request) -> Made:
    """Raises Refused for what cannot be quantized, naming the layer."""
    network = open_network(request.source)
    kept = chosen([each.name for each in network.operators], request.keep, request.source)
    layers = layers_of(network, request.precision, kept)
    if request.whole:
        refuse_floats(layers, request.source)
    ranges = ranges_for(network, request)
    say(f"quantizing to {request.precision}")
    content = quantized(network, request.precision, ranges, kept)
    write_durably(Path(request.file), content)
    steps = [STEPS[request.precision]]
    if ranges is not None:
        steps.append(f"ranges of activations by {request.method}")
    if kept:
        steps.append(f"{len(kept)} layers kept float32")
    return Made(
        file=request.file,
        steps=tuple(steps),
        tools={"ai-edge-quantizer": network.version},
        layers=layers,
        notes=(*told_floats(layers), *filter(None, [NOTES.get(request.precision)])),
    )


def ranges_for(network: Network, request: Request) -> Ranges | None:
    """None where the precision needs none. Raises Refused."""
    if request.precision not in CALIBRATED:
        return None
    unclipped = heads(network.operators, network.outputs, WEIGHTY)
    return ranges_of(request, network.shape, unclipped, Watched(network).run)


def layers_of(network: Network, precision: Precision, kept: Collection[str]) -> tuple[Layer, ...]:
    """Every layer and what it becomes."""
    from ai_edge_quantizer import recipe_manager

    rules = recipe_manager.RecipeManager()
    rules.load_quantization_recipe(_recipe(precision))
    found = []
    for each in network.operators:
        if each.name in kept:
            found.append(Layer(each.name, each.kind, "float32", "kept"))
        elif _is_known(rules, each):
            found.append(Layer(each.name, each.kind, precision))
        else:
            found.append(Layer(each.name, each.kind, "float32", _why(precision, each)))
    return tuple(found)


def quantized(
    network: Network,
    precision: Precision,
    ranges: Ranges | None,
    kept: Collection[str] = (),
    only: str | None = None,
) -> bytes:
    """The file's bytes. only: this layer alone. Raises Refused."""
    recipe = _recipe(precision)
    if only is not None:
        recipe = [rule | {"regex": _exactly(network, only)} for rule in recipe]
    elif precision in CALIBRATED:
        recipe += _float_ends(network, precision, kept)
    recipe += [_no_quantizing(_exactly(network, name)) for name in sorted(kept)]
    return _by_recipe(network, recipe, ranges)


def _by_recipe(network: Network, recipe: list[Any], ranges: Ranges | None) -> bytes:
    from ai_edge_quantizer import quantizer

    known = None
    if ranges is not None:
        known = {name: _statistics(network, name, *ends) for name, ends in ranges.items()}
    tool = quantizer.Quantizer(network.content, recipe)
    try:
        made = tool.quantize(known, enable_progress_bar=False, enable_progress_report=False)
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        raise Refused(
            f"{network.path}: ai-edge-quantizer cannot quantize it: {one_line(str(error))[:200]}: "
            "keep the layer that it names float32 (--keep), or use dynamic or float16"
        ) from None
    return bytes(made.quantized_model)


def _statistics(network: Network, name: str, low: float, high: float) -> dict[str, Any]:
    """As its own calibration would give them: of the activation's rank."""
    shape = (1,) * network.ranks[name]
    low, high = min(low, 0.0), max(high, 0.0)
    return {
        "min": np.full(shape, low, np.float32), "max": np.full(shape, high, np.float32),
        "num_samples": np.array(1),
    }  # fmt: skip


def _recipe(precision: Precision) -> list[Any]:
    from ai_edge_quantizer import algorithm_manager, qtyping, recipe, recipe_manager

    if precision == "int8":
        return list(recipe.static_wi8_ai8())
    if precision == "int8x16":
        return list(recipe.static_wi8_ai16())
    if precision == "dynamic":
        return list(recipe.dynamic_wi8_afp32())
    rules = recipe_manager.RecipeManager()
    rules.add_weight_only_config(
        regex=".*", operation_name=qtyping.TFLOperationName.ALL_SUPPORTED, num_bits=16,
        algorithm_key=algorithm_manager.AlgorithmName.FLOAT_CASTING,
    )  # fmt: skip
    return list(rules.get_quantization_recipe())


def _float_ends(network: Network, precision: Precision, kept: Collection[str]) -> list[Any]:
    """Rules that leave inputs or outputs float32: no runtime feeds int16; and what a kept layer
    gives is not to lose its digits on the last step."""
    if precision == "int8x16":
        return [_no_quantizing(".*", "INPUT"), _no_quantizing(".*", "OUTPUT")]
    last = {each.name for each in network.operators if set(each.gives) & set(network.outputs)}
    return [_no_quantizing(".*", "OUTPUT")] if last & set(kept) else []


def _no_quantizing(regex: str, operation: str = "*") -> dict[str, Any]:
    return {"regex": regex, "operation": operation, "algorithm_key": "no_quantize"}


def _exactly(network: Network, name: str) -> str:
    (scope,) = (each.scope for each in network.operators if each.name == name)
    return f"^{re.escape(scope)}$"


def _is_known(rules: Any, operator: Operator) -> bool:
    from ai_edge_quantizer import qtyping

    if operator.known_as is None:
        return False
    name = qtyping.TFLOperationName(operator.known_as)
    algorithm, _ = rules.get_quantization_configs(name, operator.scope)
    return str(algorithm.value if hasattr(algorithm, "value") else algorithm) != "no_quantize"


def _why(precision: Precision, operator: Operator) -> str:
    """Weights are all that is changed by the others: no reason is needed for an addition."""
    return f"there is no {precision} form of it" if precision in CALIBRATED else ""
