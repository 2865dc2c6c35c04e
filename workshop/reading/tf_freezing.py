"""A network of TensorFlow with its weights as constants and every size known: what is converted."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wire.troubles import Refused
from workshop.reading import Port
from workshop.reading.packages import first_line, import_quietly
from workshop.reading.reference import Tensor

IN_A_CALL = re.compile(r"^((Stateful)?PartitionedCall(_\d+)?/)+")
COLOCATED = "_class"  # names other nodes


@dataclass(frozen=True)
class Traced:
    """A network as it was saved. forward: a tensor in, a flat list of tensors out; `names` are what
    its author calls these."""

    where: str
    takes: Port
    names: tuple[str, ...]
    forward: Callable[[Any], Sequence[Any]]

    def answer(self, one: Tensor) -> list[Tensor]:
        """What it gives for one input."""
        tf = import_quietly("tensorflow")
        try:
            return [np.array(each) for each in self.forward(tf.constant(one))]
        except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError):
            # on a CPU, plain TensorFlow has no convolutions of NCHW; its compiler has
            compiled = tf.function(self.forward, jit_compile=True, autograph=False)
            return [np.array(each) for each in compiled(tf.constant(one))]


@dataclass(frozen=True)
class Frozen:
    """graph: a GraphDef whose placeholder and outputs have the names of `takes` and `gives`.

    function: the same as a ConcreteFunction.
    """

    where: str
    graph: Any
    function: Any
    takes: Port
    gives: tuple[Port, ...]


def freeze(traced: Traced) -> Frozen:
    """Raises Refused where TensorFlow cannot run the network on an input of this shape."""
    tf = import_quietly("tensorflow")
    constants = import_quietly("tf2onnx.tf_loader")
    spec = tf.TensorSpec(traced.takes.shape, traced.takes.dtype, name=traced.takes.name)
    try:
        function = tf.function(traced.forward, input_signature=[spec], autograph=False)
        concrete = function.get_concrete_function()
        graph = constants.convert_variables_to_constants_large_model(concrete)
        function = _named(tf, _without_assignments(graph), concrete, traced.names)
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise Refused(
            f"{traced.where}: TensorFlow cannot run it on an input of {traced.takes.shape}: "
            f"{first_line(error)}"
        ) from None
    content = function.graph.as_graph_def()
    _refuse_chance(traced.where, content)
    gives = tuple(
        _port(traced.where, one.op.name, one.shape.rank, one.shape, one.dtype.name)
        for one in function.outputs
    )
    takes = Port(function.inputs[0].op.name, traced.takes.shape, traced.takes.dtype)
    return Frozen(traced.where, content, function, takes, gives)


def _refuse_chance(where: str, graph: Any) -> None:
    """Keras exports layers such as RandomFlip at work, as if the network were being trained."""
    for node in graph.node:
        if "Random" in node.op:
            raise Refused(
                f"{where}: draws random numbers (layer {node.name}), as layers that vary pictures "
                "in a training do: give the .keras file, where they rest, or export it without them"
            )


def _without_assignments(graph: Any) -> Any:
    """Without what counts or draws for the next call, as layers that make pictures more various in
    a training do: a variable that is a constant now cannot be written."""
    gone = {node.name for node in graph.node if node.op.startswith("Assign")}
    kept = [node for node in graph.node if node.name not in gone]
    del graph.node[:]
    graph.node.extend(kept)
    for node in graph.node:
        sources = [one for one in node.input if one.removeprefix("^") not in gone]
        del node.input[:]
        node.input.extend(sources)
    return graph


def _named(tf: Any, graph: Any, concrete: Any, names: Sequence[str]) -> Any:
    """A function of the graph with outputs of these names, as far as no other node has them."""
    graph, short = _short_names(graph)
    outputs = [f"{short[one.op.name]}:{one.value_index}" for one in concrete.outputs]
    made: list[str] = []

    def build() -> None:
        found = tf.import_graph_def(graph, return_elements=outputs, name="")
        made.extend(
            tf.identity(one, name=name).name for one, name in zip(found, names, strict=True)
        )

    whole = tf.compat.v1.wrap_function(build, [])
    return whole.prune(short[concrete.inputs[0].op.name] + ":0", made)


def _short_names(graph: Any) -> tuple[Any, dict[str, str]]:
    """The graph without the names of calls before those of layers, and each name's shorter one."""
    taken = {node.name for node in graph.node}
    short: dict[str, str] = {}
    for node in graph.node:
        name = IN_A_CALL.sub("", node.name)
        short[node.name] = node.name if not name or name in taken else name
        taken.add(short[node.name])
    for node in graph.node:
        node.name = short[node.name]
        for place, source in enumerate(node.input):
            name, colon, output = source.removeprefix("^").partition(":")
            control = "^" if source.startswith("^") else ""
            node.input[place] = f"{control}{short[name]}{colon}{output}"
        if COLOCATED in node.attr:
            del node.attr[COLOCATED]
    return graph, short


def _port(where: str, name: str, rank: int | None, shape: Any, dtype: str) -> Port:
    """Of an output; sizes that only a run can tell (of what was found) are 0."""
    if dtype in ("string", "resource", "variant"):
        raise Refused(
            f"{where}: its output {name!r} is a {dtype}: save the network with outputs of numbers"
        )
    return Port(
        name, tuple(size or 0 for size in shape.as_list()) if rank is not None else (), dtype
    )


def safe_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names that TensorFlow takes for a node, each once."""
    found: list[str] = []
    for name in names:
        plain = "".join(c if c.isascii() and (c.isalnum() or c in "._-/") else "_" for c in name)
        plain = plain.lstrip("_-/") or "output"
        place, one = 1, plain
        while one in found:
            place, one = place + 1, f"{plain}_{place}"
        found.append(one)
    return tuple(found)
