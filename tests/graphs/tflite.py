"""The door to all .tflite graphs. Every builder writes the file at its first argument."""

from tests.graphs.tflite_hostile import (
    crash_on_black,
    crash_on_open,
    crash_on_run,
    endless,
    fails_on_bright,
    growing,
    hungry,
    overflow_on_open,
    slow,
)
from tests.graphs.tflite_network import mobilenet_v2
from tests.graphs.tflite_ssd import TF1_ORDER, TF2_ORDER, ssd, ssd_known
from tests.graphs.tflite_tiny import (
    COLOURS,
    colours,
    echo,
    open_batch,
    open_size,
    pack_labels,
    passing,
    poisoned,
    two_inputs,
    unknown_op,
)

__all__ = [
    "COLOURS",
    "TF1_ORDER",
    "TF2_ORDER",
    "colours",
    "crash_on_black",
    "crash_on_open",
    "crash_on_run",
    "echo",
    "endless",
    "fails_on_bright",
    "growing",
    "hungry",
    "mobilenet_v2",
    "open_batch",
    "open_size",
    "overflow_on_open",
    "pack_labels",
    "passing",
    "poisoned",
    "slow",
    "ssd",
    "ssd_known",
    "two_inputs",
    "unknown_op",
]
