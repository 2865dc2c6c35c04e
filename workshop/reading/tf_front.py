"""What a network does first to its input, value by value: scaling and shifting, told in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from workshop.reading.packages import import_quietly

Values = npt.NDArray[np.float64]
OF_BYTES = 1 / 20  # who scales by less was trained on 0 to 255
WIDE = 255.0
MOST = 4  # more values are no channels of a picture
PASSING = ("Identity", "Cast", "StopGradient", "PreventGradient", "EnsureShape")
KINDS = {"Mul": "MUL", "Add": "ADD", "AddV2": "ADD", "BiasAdd": "ADD", "Sub": "SUB",
         "RealDiv": "DIV", "Div": "DIV"}  # fmt: skip


@dataclass(frozen=True)
class Front:
    """x * times + plus, each of one value or one for each channel, after the channels were turned
    round (RGB to BGR) if `turned`."""

    times: Values = field(default_factory=lambda: np.ones(1))
    plus: Values = field(default_factory=lambda: np.zeros(1))
    turned: bool = False

    @property
    def reach(self) -> float:
        """Up to where inputs go, by the look of it: 255, or 1."""
        return WIDE if self._is_some and float(np.abs(self.times).max()) < OF_BYTES else 1.0

    @property
    def _is_some(self) -> bool:
        return bool(np.any(self.times != 1) or np.any(self.plus != 0))

    def words(self) -> tuple[str, ...]:
        """A line for each thing it does."""
        said = ("the order of the channels is turned round",) if self.turned else ()
        if not self._is_some:
            return said
        return (*said, f"inputs times {_number(self.times)}, plus {_number(self.plus)}")

    def then(self, kind: str, constant: Any, first: bool) -> Front | None:
        """After one more operator, in TFLite's words. first: the other operand is the constant.

        None: it is nothing that is done to each value alone.
        """
        value = np.asarray(constant, np.float64)
        if value.size > MOST or (value.ndim and value.size != value.shape[-1]):
            return None
        value = value.reshape(-1)
        if kind == "MUL":
            return replace(self, times=self.times * value, plus=self.plus * value)
        if kind == "ADD":
            return replace(self, plus=self.plus + value)
        if kind == "SUB" and first:
            return replace(self, plus=self.plus - value)
        if kind == "SUB":
            return replace(self, times=-self.times, plus=value - self.plus)
        if kind == "DIV" and first and np.all(value):
            return replace(self, times=self.times / value, plus=self.plus / value)
        return None

    def around(self) -> Front:
        """With the channels turned round after it."""
        return Front(self.times[::-1], self.plus[::-1], not self.turned)


def front_of_graph(graph: Any, name: str) -> Front:
    """Of a frozen GraphDef, from its placeholder on, as far as each value is dealt with alone."""
    nodes = {node.name: node for node in graph.node}
    front = Front()
    while True:
        users = [node for node in graph.node if name in map(_source, _values(node))]
        if len(users) != 1:
            return front
        (node,) = users
        if node.op not in PASSING:
            changed = _after(front, node, name, lambda one: _constant(nodes, one))
            if changed is None:
                return front
            front = changed
        name = node.name


def _after(front: Front, node: Any, name: str, constant: Callable[[str], Any]) -> Front | None:
    others = [constant(one) for one in _values(node) if _source(one) != name]
    if not others or any(one is None for one in others):
        return None
    if _turns(node.op, others):
        return front.around()
    if node.op not in KINDS or len(others) != 1:
        return None
    return front.then(KINDS[node.op], others[0], _source(node.input[0]) == name)


def _turns(kind: str, others: list[Any]) -> bool:
    """Whether a node turns the channels of (1, height, width, channels) round, and nothing else."""
    if kind == "ReverseV2":
        return others[0].reshape(-1).tolist() in ([3], [-1])
    if kind != "StridedSlice":
        return False
    strides = others[-1].reshape(-1).tolist()
    return strides[-1:] == [-1] and all(one == 1 for one in strides[:-1])


def _constant(nodes: dict[str, Any], name: str) -> Any:
    node = nodes.get(_source(name))
    while node is not None and node.op in PASSING:
        node = nodes.get(_source(node.input[0]))
    if node is None or node.op != "Const":
        return None
    return np.asarray(import_quietly("tensorflow").make_ndarray(node.attr["value"].tensor))


def _values(node: Any) -> list[str]:
    """What it computes with: an input written ^NAME only waits for NAME, as in a SavedModel."""
    return [one for one in node.input if not one.startswith("^")]


def _source(name: str) -> str:
    return name.removeprefix("^").partition(":")[0]


def _number(values: Values) -> str:
    """One value where all are the same."""
    said = list(dict.fromkeys(f"{value:.6g}" for value in values))
    if len(said) == 1:
        return said[0]
    return f"({', '.join(f'{value:.6g}' for value in values)})"
