"""Programs that torch.export.save wrote, .pt2."""

from __future__ import annotations

import os

from wire.troubles import Refused
from workshop.reading import Read, Request
from workshop.reading.packages import first_line
from workshop.reading.shapes import fixed_port
from workshop.reading.torch_program import Network, import_torch
from workshop.reading.torch_steps import LOADING, STEPS, finish
from workshop.step import say

ONLY_TENSORS = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # torch.export.load would unpickle anything


def step(request: Request) -> Read:
    """Read a .pt2. Raises Refused for what is none, is of another PyTorch or has many inputs."""
    say(LOADING, 0, STEPS)
    if not request.trusted:
        os.environ[ONLY_TENSORS] = "1"
    torch = import_torch()
    where = request.path
    try:
        program = torch.export.load(where)
    except Exception as error:
        raise Refused(
            f"{where}: cannot be read by PyTorch {torch.__version__}: {first_line(error)}: save it "
            "again with torch.export.save of this version"
        ) from None
    names = program.graph_signature.user_inputs
    nodes = {node.name: node for node in program.graph.nodes}
    if len(names) != 1 or not hasattr(nodes[names[0]].meta.get("val"), "shape"):
        raise Refused(
            f"{where}: has {len(names)} inputs ({', '.join(map(str, names))}); the runtime gives "
            "one tensor: export it with the others as constants"
        )
    value = nodes[names[0]].meta["val"]
    sizes = [size if isinstance(size, int) else None for size in value.shape]
    dtype = str(value.dtype).removeprefix("torch.")
    takes = fixed_port(where, str(names[0]), sizes, dtype, request.input_shape)
    settled = None if None in sizes else program
    count = sum(each.numel() for each in program.parameters())
    steps = [f"read by torch {torch.__version__}: an exported program with {count} weights"]
    return finish(request, Network(where, program.module(), takes), steps, settled)
