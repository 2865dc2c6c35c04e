"""How a configuration names accelerators: `edgetpu`, `cuda`, `tensorrt?trt_fp16_enable=1`."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from urllib.parse import parse_qsl

from runtime.engines import KINDS
from wire.troubles import Refused

# LiteRT's delegates that have a usual library
DELEGATES = {"edgetpu": "libedgetpu.so.1", "gpu": "libtensorflowlite_gpu_delegate.so"}
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


def complaints_about(kind: str, wanted: Sequence[str]) -> Iterator[str]:
    """Which of them nobody could plug in: names that the engine does not know, libraries that are
    not on this machine. A line each; nothing is loaded into this process."""
    if kind not in WITH_NAMES:
        return
    unknown = importlib.import_module(KINDS[kind]).unknown_accelerator
    for words in wanted:
        try:
            what = unknown(parse(words)[0])
        except Refused as trouble:
            yield str(trouble)
            continue
        if what is not None:
            yield f"accelerator {words!r}: {what}"


def check_known(kind: str, wanted: Sequence[str]) -> None:
    """Raises Refused for one that could not be there. For who asks by hand: a service goes on
    without, and reports a fault."""
    for what in complaints_about(kind, wanted):
        raise Refused(f"{what}; or leave it out to run on the CPU")
