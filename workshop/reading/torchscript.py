"""TorchScript, .pt and .ts: scripted or traced."""

from __future__ import annotations

from typing import Any

from wire.troubles import Refused
from workshop.reading import Read, Request
from workshop.reading.packages import first_line
from workshop.reading.shapes import fixed_port
from workshop.reading.torch_program import Network, captured, example, import_torch
from workshop.reading.torch_recording import recorded
from workshop.reading.torch_steps import LOADING, STEPS, finish
from workshop.step import say


def step(request: Request) -> Read:
    """Read TorchScript. Raises Refused for what is none, or where it needs an --input-shape."""
    say(LOADING, 0, STEPS)
    torch = import_torch()
    where = request.path
    try:
        module = torch.jit.load(where, map_location="cpu").eval().float()
    except Exception as error:
        raise Refused(
            f"{where}: cannot be read by PyTorch {torch.__version__}: {first_line(error)}"
        ) from None
    names = [each.debugName() for each in module.graph.inputs()][1:]  # the first is the module
    if len(names) != 1:
        raise Refused(
            f"{where}: has {len(names)} inputs ({', '.join(names)}); the runtime gives one tensor: "
            "make a module around it that gives it the others"
        )
    name = names[0].partition(".")[0]
    takes = fixed_port(where, name, None, "float32", request.input_shape, "1,3,224,224")
    network = Network(where, module, takes)
    count = sum(each.numel() for each in module.parameters())
    steps = [
        f"read by torch {torch.__version__}: TorchScript with {count} weights",
        "one run written down as a graph, which depends on no value of its input",
    ]
    plain = Network(where, _written_down(network), takes)
    return finish(request, network, steps, captured(plain))


def _written_down(network: Network) -> Any:
    """Its operators as one run calls them."""
    try:
        return recorded(network.where, network.module, example(network.takes))
    except Refused:
        raise
    except Exception as error:
        raise Refused(
            f"{network.where}: cannot run on an input of {network.takes.shape}: "
            f"{_reason(error)}: say another with --input-shape"
        ) from None


def _reason(error: Exception) -> str:
    """TorchScript tells its whole way first, and what is wrong last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
