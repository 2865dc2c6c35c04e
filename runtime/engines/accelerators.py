"""How a configuration names accelerators: `edgetpu`, `cuda`, `tensorrt?trt_fp16_enable=1`."""

from __future__ import annotations

from urllib.parse import parse_qsl

from wire.troubles import Refused

# LiteRT's delegates that have a usual library
DELEGATES = {"edgetpu": "libedgetpu.so.1", "gpu": "libtensorflowlite_gpu_delegate.so"}


def parse(words: str) -> tuple[str, dict[str, str]]:
    """The name before `?`, and its options. Raises Refused if an option has no value."""
    name, _, options = words.partition("?")
    try:
        pairs = parse_qsl(options, keep_blank_values=True, strict_parsing=bool(options))
    except ValueError:
        raise Refused(
            f"accelerator {words!r}: options are written as NAME?key=value&key=value"
        ) from None
    return name, dict(pairs)
