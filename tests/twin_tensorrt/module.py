"""Stands for the module `tensorrt` 10.3: names and signatures as there. See tests/twin_tensorrt.

A plan is a line of JSON. The ONNX parser takes real models; what is built of one copies its input.
"""

from __future__ import annotations

import ctypes
import enum
import json
import os
from types import SimpleNamespace
from typing import Any

import onnx

__version__ = "10.3.0"

_CUDART = ctypes.CDLL(os.environ["TWIN_CUDART"])
_KINDS = {1: "FLOAT", 2: "UINT8", 3: "INT8", 6: "INT32", 7: "INT64"}  # ONNX's to TensorRT's
_BYTES = {"FLOAT": 4, "UINT8": 1, "INT8": 1, "INT32": 4, "INT64": 8}


class BuilderFlag(enum.Enum):
    FP16 = 0
    INT8 = 2


class LayerType(enum.Enum):
    OTHER = 0
    QUANTIZE = 43
    DEQUANTIZE = 44


class TensorIOMode(enum.Enum):
    INPUT = 1
    OUTPUT = 2


class NetworkDefinitionCreationFlag(enum.IntEnum):
    EXPLICIT_BATCH = 0


class ILogger:
    INTERNAL_ERROR, ERROR = 0, 1

    def log(self, severity: int, text: str) -> None: ...


class Logger(ILogger):
    def __init__(self, least: int) -> None: ...


class IProgressMonitor: ...


class BuilderConfig:
    def __init__(self) -> None:
        self.flags: set[BuilderFlag] = set()
        self.progress_monitor: Any = None

    def set_flag(self, flag: BuilderFlag) -> None:
        self.flags.add(flag)


class Network:
    def __init__(self) -> None:
        self.inputs: list[Any] = []
        self.layers: list[LayerType] = []
        self.outputs: list[str] = []

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    def get_input(self, place: int) -> Any:
        return self.inputs[place]

    def get_layer(self, place: int) -> Any:
        return SimpleNamespace(type=self.layers[place])


class Builder:
    def __init__(self, logger: ILogger) -> None:
        self._logger = logger

    def create_network(self, flags: int) -> Network:
        assert flags == 1 << NetworkDefinitionCreationFlag.EXPLICIT_BATCH
        return Network()

    def create_builder_config(self) -> BuilderConfig:
        return BuilderConfig()

    def build_serialized_network(self, network: Network, config: BuilderConfig) -> bytes | None:
        only = network.inputs[0]
        if -1 in only.shape:
            self._fail("Network has dynamic or shape inputs, but no optimization profile has been "
                       "defined.")  # fmt: skip
            return None
        if LayerType.QUANTIZE in network.layers and BuilderFlag.INT8 not in config.flags:
            self._fail("Int8 precision has been set for a layer or layer output, but int8 is not "
                       "configured in the builder")  # fmt: skip
            return None
        monitor = config.progress_monitor
        monitor.phase_start("Building Engine", None, 2)
        for step in range(2):
            monitor.step_complete("Building Engine", step)
        monitor.phase_finish("Building Engine")
        names = [only.name, *network.outputs]
        return json.dumps({"names": names, "shape": tuple(only.shape), "kind": only.kind}).encode()

    def _fail(self, why: str) -> None:
        self._logger.log(ILogger.ERROR, why)


class OnnxParser:
    num_errors = 0

    def __init__(self, network: Network, logger: ILogger) -> None:
        self._network = network

    def parse_from_file(self, path: str) -> bool:
        graph = onnx.load(path).graph
        for each in graph.input:
            tensor = each.type.tensor_type
            sides = [side.dim_value or -1 for side in tensor.shape.dim]
            kind = _KINDS[tensor.elem_type]
            self._network.inputs.append(SimpleNamespace(name=each.name, shape=sides, kind=kind))
        kinds = {"QuantizeLinear": LayerType.QUANTIZE, "DequantizeLinear": LayerType.DEQUANTIZE}
        self._network.layers += [kinds.get(node.op_type, LayerType.OTHER) for node in graph.node]
        self._network.outputs += [each.name for each in graph.output]
        return True


class Context:
    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        return name == self._plan["names"][0] and tuple(shape) == tuple(self._plan["shape"])

    def get_tensor_shape(self, name: str) -> list[int]:
        return list(self._plan["shape"])

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        count = _BYTES[self._plan["kind"]]
        for side in self._plan["shape"]:
            count *= side
        source, target = (ctypes.c_void_p(self._addresses[name]) for name in self._plan["names"])
        return bool(_CUDART.twin_copy(target, source, ctypes.c_size_t(count)) == 0)


class Engine:
    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self.num_io_tensors = len(plan["names"])

    def get_tensor_name(self, place: int) -> str:
        return str(self._plan["names"][place])

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        is_input = name == self._plan["names"][0]
        return TensorIOMode.INPUT if is_input else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> list[int]:
        return list(self._plan["shape"])

    def get_tensor_dtype(self, name: str) -> Any:
        return SimpleNamespace(name=self._plan["kind"])

    def create_execution_context(self) -> Context:
        return Context(self._plan)


class Runtime:
    def __init__(self, logger: ILogger) -> None: ...

    def deserialize_cuda_engine(self, plan: bytes) -> Engine | None:
        try:
            return Engine(json.loads(plan))
        except ValueError:
            return None
