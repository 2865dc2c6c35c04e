"""The door to all .onnx graphs. Every builder writes the file at its first argument."""

from tests.graphs.onnx_hostile import (
    crash_on_black,
    endless,
    fails_on_bright,
    growing,
    hungry,
    outside,
    slow,
)
from tests.graphs.onnx_network import mobilenet_v2
from tests.graphs.onnx_tiny import (
    colours,
    echo,
    open_batch,
    open_size,
    passing,
    poisoned,
    two_inputs,
    unknown_op,
)

__all__ = [
    "colours",
    "crash_on_black",
    "echo",
    "endless",
    "fails_on_bright",
    "growing",
    "hungry",
    "mobilenet_v2",
    "open_batch",
    "open_size",
    "outside",
    "passing",
    "poisoned",
    "slow",
    "two_inputs",
    "unknown_op",
]
