"""A step: two TFLite networks, layer by layer, in an interpreter that keeps all of their tensors.

Without delegates (XNNPACK too): what runs inside of one is not seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wire.troubles import Refused, Unavailable
from workshop.comparing.differences import Network, Pair, Step, Tensor, compare
from workshop.comparing.results import Layers

NO_LAYERS = ("QUANTIZE", "DEQUANTIZE", "DELEGATE")


def step(request: Pair) -> Layers:
    return compare(_network(request.reference), _network(request.other), request)


def _network(path: str) -> Network:
    running = _Running(path)
    return Network(running.steps(), running.run)


class _Running:
    """An interpreter, and where its tensors are."""

    def __init__(self, path: str) -> None:
        try:
            from ai_edge_litert import interpreter
        except ImportError as error:
            raise Unavailable(f"{error.msg}: pip install 'vedette[litert]'") from None
        resolver = interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            self._interpreter: Any = interpreter.Interpreter(
                path, experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=resolver,
            )  # fmt: skip
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            line = (str(error).strip().splitlines() or ["no reason given"])[0]
            raise Refused(f"{path}: cannot be looked into: {line}") from None
        self._details = {each["index"]: each for each in self._interpreter.get_tensor_details()}
        self._places: dict[str, int] = {}

    def steps(self) -> list[Step]:
        """The operators in their order, but for those that quantize. What a quantized output was
        called before is its name, as converters change it."""
        steps, details = [], self._interpreter._get_ops_details()
        made_by = {int(op["outputs"][0]): op for op in details if len(op["outputs"])}
        for op in details:
            if op["op_name"] in NO_LAYERS or not len(op["outputs"]):
                continue
            place = int(op["outputs"][0])
            name = str(self._details[place]["name"])
            self._places.setdefault(name, place)
            steps.append(Step(name, str(op["op_name"]), name))
        return self._ends_named(steps, made_by)

    def _ends_named(self, steps: list[Step], made_by: dict[int, Any]) -> list[Step]:
        """An output behind DEQUANTIZE or QUANTIZE lends its name to what it is made of."""
        renamed: dict[str, str] = {}
        for output in self._interpreter.get_output_details():
            op = made_by.get(int(output["index"]))
            if op is not None and op["op_name"] in ("QUANTIZE", "DEQUANTIZE"):
                source = int(op["inputs"][0])
                renamed[str(self._details[source]["name"])] = str(output["name"])
        return [Step(renamed.get(s.tensor, s.tensor), s.op, s.real) for s in steps]

    def run(self, tensor: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], tensor)
        self._interpreter.invoke()
        return {name: self._real(self._places[name]) for name in dict.fromkeys(names)}

    def _real(self, place: int) -> Tensor:
        stored: Tensor = self._interpreter.get_tensor(place)
        quantised = self._details[place]["quantization_parameters"]
        scales, zeros = quantised["scales"], quantised["zero_points"]
        if stored.dtype.kind == "f" or not len(scales):
            return stored.astype(np.float32)
        if len(scales) == 1:
            shape = [1] * stored.ndim
        else:
            shape = [-1 if axis == quantised["quantized_dimension"] else 1 for axis in
                     range(stored.ndim)]  # fmt: skip
        real: Tensor = (stored.astype(np.float32) - zeros.reshape(shape)) * scales.reshape(shape)
        return real
