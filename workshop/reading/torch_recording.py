"""A run of a network, written down: what remains is a plain graph of operators of PyTorch.

TorchScript, and what onnx2torch makes, decide by values of their constants what to do, which
torch.export cannot follow. Here they do it, and the graph has what they did.
"""

from __future__ import annotations

import operator
from typing import Any

from wire.troubles import Refused
from workshop.reading.packages import import_quietly

READS_A_VALUE = ("aten._local_scalar_dense", "aten.is_nonzero", "aten.equal")


def recorded(where: str, module: Any, given: Any) -> Any:
    """A torch.fx.GraphModule that does what `module` did for the tensor `given`.

    Its `meta["layers"]` has, for each operator, the node of `module` that called it first, where
    that is a graph itself. Raises Refused where it decides by values of its input: one run is not
    all that it does.
    """
    torch = import_quietly("torch")
    written = _Written(torch, given)
    try:
        with torch.no_grad(), torch.jit.optimized_execution(False), _recorder(torch, written):
            answer = _run(torch, written, module, given)
    except Exception:  # TorchScript makes another one of what is raised below it
        if written.reads_a_value:
            raise Refused(
                f"{where}: decides by values of its input what it does, which no other format can: "
                "take that out of the network"
            ) from None
        raise
    graph = written.graph
    graph.output(tuple(written.node(each) for each in _tensors(torch, answer)))
    graph.eliminate_dead_code()
    plain = torch.fx.GraphModule(written.root, graph)
    plain.meta["layers"] = written.layers
    return plain


def _run(torch: Any, written: _Written, module: Any, given: Any) -> Any:
    if not isinstance(module, torch.fx.GraphModule):
        return module(given)

    class Telling(torch.fx.Interpreter):  # type: ignore[misc, name-defined, unused-ignore]
        def run_node(self, node: Any) -> Any:
            written.layer = node.name
            return super().run_node(node)

    return Telling(module).run(given)


class _Written:
    """What was called so far. depending: storages that hold what depends on the input.

    reads_a_value: whether the network asked for one of these."""

    def __init__(self, torch: Any, given: Any) -> None:
        self._torch = torch
        self.graph, self.root = torch.fx.Graph(), torch.nn.Module()
        self._nodes = {id(given): self.graph.placeholder("input")}
        self._alive = [given]  # while it lives, its id is no other's
        self.depending = {_storage(given)}
        self.reads_a_value = False
        self.layer, self.layers = "", dict[str, str]()

    def node(self, tensor: Any) -> Any:
        """What stands for it: what made it, or a constant of the network."""
        if id(tensor) not in self._nodes:
            name = f"constant_{len(self._alive)}"
            self.root.register_buffer(name, tensor.detach())
            self._nodes[id(tensor)] = self.graph.get_attr(name)
            self._alive.append(tensor)
        return self._nodes[id(tensor)]

    def keep(self, node: Any, made: Any, depends: bool) -> None:
        """What a node made: a tensor, or several."""
        if self.layer:
            self.layers.setdefault(str(node.target), self.layer)
        several = isinstance(made, tuple | list)
        for place, one in enumerate(made if several else [made]):
            if not isinstance(one, self._torch.Tensor):
                continue
            self._nodes[id(one)] = (
                self.graph.call_function(operator.getitem, (node, place)) if several else node
            )
            self._alive.append(one)
            if depends:
                self.depending.add(_storage(one))


def _recorder(torch: Any, written: _Written) -> Any:
    """A mode of PyTorch's dispatcher, which sees each operator as it is called."""
    mode: Any = import_quietly("torch.utils._python_dispatch").TorchDispatchMode
    tree_map = torch.utils._pytree.tree_map_only

    class Recorder(mode):  # type: ignore[misc]
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            taken = _tensors(torch, (args, kwargs))
            depends = any(_storage(each) in written.depending for each in taken)
            if str(func.overloadpacket) in READS_A_VALUE:
                if depends:
                    written.reads_a_value = True
                    raise ValueError("a value of the input is read")
                return func(*args, **kwargs)
            func, args, kwargs = _in_usual_words(torch.ops.aten, func, args, kwargs)
            as_nodes = tree_map(torch.Tensor, written.node, (args, kwargs))
            node = written.graph.call_function(func, *as_nodes)
            made = func(*args, **kwargs)
            written.keep(node, made, depends)
            return made

    return Recorder()


def _tensors(torch: Any, held: Any) -> list[Any]:
    found = torch.utils._pytree.tree_leaves(held)
    return [each for each in found if isinstance(each, torch.Tensor)]


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
