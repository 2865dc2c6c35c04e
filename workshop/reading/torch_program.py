"""Networks of PyTorch as programs: captured once by torch.export, asked for their own answers."""

from __future__ import annotations

import logging
import re
import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from wire.troubles import Refused
from workshop.reading import Port
from workshop.reading.packages import first_line, import_quietly
from workshop.reading.reference import Tensor, random_inputs

USER_CODE = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)')
BY_VALUES = "data-dependent"
UNKNOWN = "layer unknown"
OWN_CODE = ("/torch/", "/litert_torch/", "/onnx2torch/")


@dataclass(frozen=True)
class Network:
    """A module of PyTorch in evaluation mode. where: as the user calls it. layers: the first layer
    that calls an operator, where the module does not tell it itself."""

    where: str
    module: Any
    takes: Port
    layers: dict[str, str] = field(default_factory=dict)

    def answer(self, one: Tensor) -> list[Tensor]:
        """What it gives for one input: its tensors, whatever they are packed in."""
        torch = import_torch()
        with torch.no_grad():
            given = self.module(torch.from_numpy(np.array(one)))
        return [each.numpy() for each in leaves(given)]


def import_torch() -> Any:
    """The module `torch`, quiet. Raises Unavailable without it."""
    torch = import_quietly("torch")
    warnings.filterwarnings("ignore")
    for name in ("torch", "torch.export", "torch.onnx", "torchao", "jax"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return torch


def leaves(answer: Any) -> list[Any]:
    """The tensors in what a module gave: alone, or in tuples, lists and dicts."""
    torch = import_torch()
    found = torch.utils._pytree.tree_leaves(answer)
    return [each for each in found if isinstance(each, torch.Tensor)]


def example(takes: Port) -> Any:
    """An input that fits."""
    return import_torch().from_numpy(random_inputs(takes, 1, 1.0, 0)[0])


def with_tensors_alone(network: Network) -> Network:
    """The same, without numbers, words and None among what it gives: no graph has these."""
    torch = import_torch()
    with torch.no_grad():
        found = torch.utils._pytree.tree_leaves(network.module(example(network.takes)))
    if all(isinstance(each, torch.Tensor) for each in found):
        return network

    class Plain(torch.nn.Module):  # type: ignore[misc, name-defined, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.network = network.module

        def forward(self, given: Any) -> Any:
            return tuple(leaves(self.network(given)))

    return replace(network, module=Plain().eval())


def captured(network: Network) -> Any:
    """The torch.export.ExportedProgram of a network for one input of its shape.

    Raises Refused where it cannot run on such an input, or does what a graph cannot.
    """
    torch = import_torch()
    given = example(network.takes)
    try:
        network = with_tensors_alone(network)
    except Exception as error:  # code of the user, which may raise anything
        raise Refused(
            f"{network.where}: cannot run on an input of {network.takes.shape}: "
            f"{first_line(error)}{_place(error)}: say another with --input-shape"
        ) from None
    try:
        return torch.export.export(network.module, (given,))
    except Exception as error:
        reason = "decides by values of its input" if BY_VALUES in str(error) else first_line(error)
        raise Refused(
            f"{network.where}: torch.export cannot follow it: {reason}{_place(error)}: take that "
            "out of the network, or write it with torch.where"
        ) from None


def ports(program: Any) -> tuple[Port, ...]:
    """The outputs of a program. A size that only a run can tell is 0."""
    nodes = {node.name: node for node in program.graph.nodes}
    found = []
    for name in program.graph_signature.user_outputs:
        if name not in nodes or not hasattr(nodes[name].meta.get("val"), "shape"):
            continue  # a number or None, which is no tensor
        value = nodes[name].meta["val"]
        shape = tuple(size if isinstance(size, int) else 0 for size in value.shape)
        found.append(Port(str(name), shape, str(value.dtype).removeprefix("torch.")))
    return tuple(found)


def layer_of(network: Network, program: Any, operator: str) -> str:
    """Where in a program an operator (`aten.x.default`) stands first, as its author calls it."""
    for graph in (program.graph, program.run_decompositions().graph):
        for node in graph.nodes:
            if str(node.target) == operator and node.meta.get("nn_module_stack"):
                name, kind = list(node.meta["nn_module_stack"].values())[-1]
                name = str(name).removeprefix("network.") or "of the network itself"
                return f"layer {name} ({str(kind).rpartition('.')[2]})"
    return f"layer {network.layers[operator]}" if operator in network.layers else UNKNOWN


def _place(error: BaseException) -> str:
    """The line of the user that it is about, as the error tells or as it went."""
    said = [each for each in USER_CODE.finditer(str(error)) if not _is_own(each["file"])]
    if said:
        return f" ({said[-1]['file']}, line {said[-1]['line']})"
    trace, found = error.__traceback__, ""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if not _is_own(file) and "workshop" not in file and not file.startswith("<"):
            found = f" ({file}, line {trace.tb_lineno})"
        trace = trace.tb_next
    return found


def _is_own(file: str) -> bool:
    return any(part in file for part in OWN_CODE)
