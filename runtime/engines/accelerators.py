"""How a configuration names accelerators: `edgetpu`, `cuda`, `tensorrt?trt_fp16_enable=1`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import parse_qsl

from runtime.engines import KINDS
from wire.troubles import Refused

# LiteRT's delegates that have a usual library
DELEGATES = {"edgetpu": "libedgetpu.so.1", "gpu": "libtensorflowlite_gpu_delegate.so"}
# ONNX Runtime's providers but its CPU's: they are told from delegates where it is not installed
PROVIDERS = (
    "acl", "armnn", "azure", "cann", "coreml", "cuda", "dml", "dnnl", "migraphx", "nnapi",
    "nvtensorrtrtx", "openvino", "qnn", "rknpu", "rocm", "tensorrt", "tvm", "vitisai", "webgpu",
    "webnn", "xnnpack",
)  # fmt: skip
ENDING = "ExecutionProvider"
WITH_NAMES = ("litert", "onnxruntime")


def parse(words: str) -> tuple[str, dict[str, str]]:
    """The name before `?`, and its options. Raises Refused if an option has no value."""
    name, _, options = words.partition("?")
    if not name:
        raise Refused(f"accelerator {words!r}: has no name: write NAME or NAME?key=value")
    try:
        pairs = parse_qsl(options, keep_blank_values=True, strict_parsing=bool(options))
    except ValueError:
        raise Refused(
            f"accelerator {words!r}: options are written as NAME?key=value&key=value"
        ) from None
    return name, dict(pairs)


def short_name(provider: str) -> str:
    """`cuda`, of a provider's name with or without its ending."""
    return provider.removesuffix(ENDING).lower()


def is_delegate(name: str) -> bool:
    """Whether it is one of LiteRT's, by its name: those are libraries, or have one by name."""
    return name in DELEGATES or ".so" in name


def complaints_about(kind: str, wanted: Sequence[str]) -> Iterator[str]:
    """Which of them nobody could plug in: names that the engine does not know, libraries that are
    not on this machine. A line each; nothing is loaded into this process."""
    if kind in WITH_NAMES:
        unknown = importlib.import_module(KINDS[kind]).unknown_accelerator
        yield from _complaints(wanted, lambda name: _of_the_other(kind, name) or unknown(name))


def missing_here(kind: str, wanted: Sequence[str]) -> Iterator[str]:
    """As `complaints_about`, and also what only another build of the engine has."""
    for words in wanted:
        whys = list(complaints_about(kind, [words]))
        if not whys and kind == "onnxruntime":
            absent = importlib.import_module(KINDS[kind]).absent_accelerator
            whys = list(_complaints([words], absent))
        yield from whys


def _complaints(wanted: Sequence[str], why: Callable[[str], str | None]) -> Iterator[str]:
    """why: what is wrong with a name, or None."""
    for words in wanted:
        try:
            what = why(parse(words)[0])
        except Refused as trouble:
            yield str(trouble)
            continue
        if what is not None:
            yield f"accelerator {words!r}: {what}"


def _of_the_other(kind: str, name: str) -> str | None:
    """That it belongs to the engine of another format, or None."""
    if kind == "onnxruntime" and is_delegate(name):
        return "is a delegate of LiteRT, for .tflite models; this one runs in ONNX Runtime"
    if kind == "litert" and short_name(name) in PROVIDERS:
        return "is a provider of ONNX Runtime, for .onnx models; this one runs in LiteRT"
    return None


def check_known(kind: str, wanted: Sequence[str]) -> None:
    """Raises Refused for one that could not be there. For who asks by hand: a service goes on
    without, and reports a fault."""
    for what in complaints_about(kind, wanted):
        raise Refused(f"{what}; or leave it out to run on the CPU")
