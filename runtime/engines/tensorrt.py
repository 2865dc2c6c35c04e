"""TensorRT, 8.6 to 11, by one way of its interface: tensors by name, in memory that both sides see.

What preprocessing writes is what the device reads: input and outputs are page-locked and mapped.
Where all of it can be recorded, a run is one CUDA graph. The plan was built on this device before,
or came in the model's signed bundle for exactly this kind of device (see tensorrt_plan.py): any
other is native code of strangers.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from models.plans import Key, Plan, plan_for
from runtime.engines import EngineOptions, Tensor, TensorSpec, tensorrt_plan
from runtime.engines.cuda import Cuda, Graph, Mapped
from wire.troubles import Refused, Unavailable

PACKAGES = ("tensorrt", "tensorrt_rtx")
# our own: trt.nptype() of 8.6 asks numpy for names that it has no more
DTYPES = {
    "FLOAT": "float32", "HALF": "float16", "INT8": "int8", "UINT8": "uint8", "INT32": "int32",
    "INT64": "int64", "BOOL": "bool",
}  # fmt: skip


class NotTaken(Unavailable):
    """TensorRT does not take a plan: it must be built anew."""


class TensorRTEngine:
    """One engine and its context. Inference releases the interpreter lock.

    device_bytes: what the device's memory lost by opening it.
    """

    def __init__(self, module: Any, cuda: Cuda, plan: bytes, model_file: Path,
                 declared: TensorSpec | None) -> None:  # fmt: skip
        self._model_file, self._cuda = model_file, cuda
        before = cuda.free_bytes
        self._logger = module.Logger(module.Logger.ERROR)
        self._runtime = module.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise NotTaken(f"{model_file}: TensorRT does not take its plan: it is built anew")
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise Unavailable(f"{model_file}: the device has no memory left for it")
        names = [self._engine.get_tensor_name(n) for n in range(self._engine.num_io_tensors)]
        kinds = {name: self._engine.get_tensor_mode(name) for name in names}
        self._in = module.TensorIOMode.INPUT
        inputs = [name for name in names if kinds[name] == self._in]
        if len(inputs) != 1:
            raise Refused(
                f"{model_file}: has {len(inputs)} inputs ({', '.join(inputs)}); one picture input "
                "is needed"
            )
        self._memory: list[Mapped] = []
        self._graph: Graph | None = None
        self._launch: Callable[[], object] = self._enqueue
        try:
            self.takes = self._input_spec(inputs[0], declared)
            if not self._context.set_input_shape(inputs[0], self.takes.shape):
                raise NotTaken(f"{model_file}: its plan is for another size of {inputs[0]!r}")
            self.gives = tuple(
                self._spec(name, self._context.get_tensor_shape(name))
                for name in names if name != inputs[0]
            )  # fmt: skip
            self._place()
            self.run()  # before anything is recorded, what is made at the first run must be there
            self._record()
        except BaseException:
            self.close()
            raise
        self.device_bytes = max(0, before - cuda.free_bytes)

    def _place(self) -> None:
        """Memory for input and outputs, where both sides see it."""
        for spec in (self.takes, *self.gives):
            memory = Mapped(self._cuda, spec.shape, spec.dtype)
            self._memory.append(memory)
            self._context.set_tensor_address(spec.name, memory.pointer)
        self._outputs = tuple(memory.array for memory in self._memory[1:])

    def input(self) -> Tensor:
        return self._memory[0].array

    def run(self) -> tuple[Tensor, ...]:
        try:
            self._launch()
            self._cuda.synchronize()
        except Unavailable as trouble:
            raise Unavailable(f"{self._model_file}: TensorRT cannot run it: {trouble}") from None
        return self._outputs

    def close(self) -> None:
        self._outputs = ()
        if self._graph is not None:
            self._graph.free()
        for memory in self._memory:
            memory.free()
        self._graph, self._memory = None, []
        self._context = self._engine = self._runtime = None
        self._cuda.close()

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._cuda.stream):
            raise Unavailable("it does not take the work")

    def _record(self) -> None:
        """A graph, if all of the work can be recorded; else each run is enqueued."""
        try:
            self._graph = self._cuda.record(self._enqueue)
        except Unavailable:
            return
        self._launch = self._graph.launch

    def _input_spec(self, name: str, declared: TensorSpec | None) -> TensorSpec:
        spec = self._spec(name, self._engine.get_tensor_shape(name))
        if spec.dtype not in ("uint8", "int8", "float32"):
            raise Refused(
                f"{self._model_file}: input {name!r} is {spec.dtype}; uint8, int8 or float32 is "
                "needed"
            )
        if -1 not in spec.shape:
            return spec
        if declared is None or len(declared.shape) != len(spec.shape):
            raise Refused(
                f"{self._model_file}: input {name!r} leaves its size open {spec.shape}: write a "
                "manifest.toml that gives width and height, or export it with a fixed size"
            )
        return TensorSpec(name, declared.shape, spec.dtype)

    def _spec(self, name: str, shape: Any) -> TensorSpec:
        if any(int(side) < 0 for side in shape) and self._engine.get_tensor_mode(name) != self._in:
            raise Refused(
                f"{self._model_file}: the size of output {name!r} depends on the picture: "
                "export it without non-maximum suppression in it"
            )
        kind = self._engine.get_tensor_dtype(name).name
        if kind not in DTYPES:
            raise Refused(
                f"{self._model_file}: tensor {name!r} is {kind}, which no processor reads: "
                "export it with an output of float32"
            )
        return TensorSpec(name, tuple(int(side) for side in shape), DTYPES[kind])


def open_model_file(model_file: Path, options: EngineOptions) -> TensorRTEngine:
    """Load the plan that was kept here for an .onnx file.

    Raises Unavailable if there is no TensorRT or no device here, or if no plan was built yet.
    """
    if options.accelerators:
        raise Refused("engine tensorrt has no accelerators of its own: leave them out")
    module = import_package()
    shape = () if options.takes is None else options.takes.shape
    with ExitStack() as undo:
        cuda = Cuda()
        undo.callback(cuda.close)
        key = tensorrt_plan.key_of(model_file, shape, module, cuda.architecture)
        plan = tensorrt_plan.kept(key)
        if plan is None:
            raise Unavailable(
                f"{model_file}: was not built for this device yet: its service does, at its start"
            )
        try:
            engine = TensorRTEngine(module, cuda, plan, model_file, options.takes)
        except NotTaken:
            tensorrt_plan.forget(key)  # other troubles, as no memory, say nothing of the plan
            raise
        undo.pop_all()
        return engine


def key_here(model_file: Path, shape: tuple[int, ...]) -> Key:
    """Of a model, on this device. Raises Unavailable if there is no TensorRT or no device here."""
    module = import_package()
    cuda = Cuda()
    try:
        return tensorrt_plan.key_of(model_file, shape, module, cuda.architecture)
    finally:
        cuda.close()


def build(
    model_file: Path, shape: tuple[int, ...], brought: Sequence[Plan], told: Callable[[int], None]
) -> None:
    """Have a plan for this device kept, unless there is one: of those that the model's signed
    bundle brought the one for exactly this device, else one that is built. told: percent done.
    Raises as `tensorrt_plan.build` does."""
    key = key_here(model_file, shape)
    if tensorrt_plan.kept(key) is not None:
        return
    module = import_package()
    found = plan_for(brought, key)
    plan = None if found is None else (model_file.parent / found.file).read_bytes()
    if plan is None or not _takes(module, plan):
        plan = tensorrt_plan.build(module, model_file, shape, told)
    tensorrt_plan.keep(key, plan)


def _takes(module: Any, plan: bytes) -> bool:
    """In the process that builds: what crashes here hits nobody who serves."""
    runtime = module.Runtime(module.Logger(module.Logger.ERROR))
    return runtime.deserialize_cuda_engine(plan) is not None


def import_package() -> Any:
    """TensorRT's module. Raises Unavailable if it is not here."""
    for package in PACKAGES:
        try:
            return importlib.import_module(package)
        except ModuleNotFoundError:
            continue
        except (ImportError, OSError) as error:
            raise Unavailable(f"{package} is installed but cannot be loaded: {error}") from None
    raise Unavailable(
        "TensorRT is missing: on a Jetson it comes with JetPack (apt-get install "
        "python3-libnvinfer), and Vedette's environment must see the system's packages; elsewhere: "
        "pip install tensorrt"
    )
