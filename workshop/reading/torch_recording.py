"""A run of a network, written down: what remains is a plain graph of operators of PyTorch.

TorchScript, and what onnx2torch makes, decide by values of their constants what to do, which
torch.export cannot follow. Here they do it, and the graph has what they did.
"""

from __future__ import annotations

import operator
from typing import Any

from wire.troubles import Refused
from workshop.reading.tf_packages import import_quietly

READS_A_VALUE = ("aten._local_scalar_dense", "aten.is_nonzero", "aten.equal")


def recorded(where: str, module: Any, given: Any) -> Any:
    """A torch.fx.GraphModule that does what `module` did for the tensor `given`.

    Raises Refused where it decides by values of its input: one run is not all that it does.
    """
    torch = import_quietly("torch")
    recorder = _recorder(torch, where, given)
    with torch.no_grad(), torch.jit.optimized_execution(False), recorder:
        answer = module(given)
    recorder.graph.output(tuple(recorder.node(each) for each in _leaves(torch, answer)))
    recorder.graph.eliminate_dead_code()
    return torch.fx.GraphModule(recorder.root, recorder.graph)


def _leaves(torch: Any, answer: Any) -> list[Any]:
    found = torch.utils._pytree.tree_leaves(answer)
    return [each for each in found if isinstance(each, torch.Tensor)]


def _recorder(torch: Any, where: str, given: Any) -> Any:
    """A mode of PyTorch's dispatcher, which sees each operator as it is called."""
    mode: Any = import_quietly("torch.utils._python_dispatch").TorchDispatchMode
    tree_map = torch.utils._pytree.tree_map_only

    class Recorder(mode):  # type: ignore[misc]
        """from_input: storages that hold what depends on the input."""

        def __init__(self) -> None:
            super().__init__()
            self.graph, self.root = torch.fx.Graph(), torch.nn.Module()
            self.nodes = {id(given): self.graph.placeholder("input")}
            self.alive = [given]  # while it lives, its id is no other's
            self.from_input = {_storage(given)}

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            taken = _leaves(torch, (args, kwargs))
            depends = any(_storage(each) in self.from_input for each in taken)
            if str(func.overloadpacket) in READS_A_VALUE:
                if depends:
                    raise Refused(
                        f"{where}: decides by values of its input what it does, which no other "
                        "format can: take that out of the network"
                    )
                return func(*args, **kwargs)
            func, args, kwargs = _in_usual_words(torch.ops.aten, func, args, kwargs)
            as_nodes = tree_map(torch.Tensor, self.node, (args, kwargs))
            node = self.graph.call_function(func, *as_nodes)
            given_back = func(*args, **kwargs)
            self._keep(node, given_back, depends)
            return given_back

        def node(self, tensor: Any) -> Any:
            """What stands for it: what made it, or a constant of the network."""
            if id(tensor) not in self.nodes:
                name = f"constant_{len(self.alive)}"
                kept = tensor.detach() if isinstance(tensor, torch.nn.Parameter) else tensor
                self.root.register_buffer(name, kept)
                self.nodes[id(tensor)] = self.graph.get_attr(name)
                self.alive.append(tensor)
            return self.nodes[id(tensor)]

        def _keep(self, node: Any, made: Any, depends: bool) -> None:
            several = isinstance(made, tuple | list)
            for place, one in enumerate(made if several else [made]):
                if not isinstance(one, torch.Tensor):
                    continue
                self.nodes[id(one)] = (
                    self.graph.call_function(operator.getitem, (node, place)) if several else node
                )
                self.alive.append(one)
                if depends:
                    self.from_input.add(_storage(one))

    return Recorder()


def _in_usual_words(aten: Any, func: Any, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """What torch.export would have called, where that is something else: converters know that."""
    if func is aten._convolution.default:
        return aten.convolution.default, args[:9], {}
    if func is aten.upsample_nearest2d.default:
        return aten.upsample_nearest2d.vec, (args[0], *_sized(args[1], args[2:])), {}
    if func is aten.upsample_bilinear2d.default:
        size, scales = _sized(args[1], args[3:])
        return aten.upsample_bilinear2d.vec, (args[0], size, args[2], scales), {}
    return func, args, kwargs


def _sized(size: Any, scales: Any) -> tuple[Any, Any]:
    """Either the size or, where they were said, the factors: they decide between pixels."""
    return (None, list(scales)) if len(scales) == 2 and None not in scales else (size, None)


def _storage(tensor: Any) -> int:
    pointer: int = tensor.untyped_storage()._cdata
    return pointer
