"""TensorRT's plans: what is built from an ONNX model on this very device, and kept for it.

A plan is native code for one version of TensorRT and one kind of device. It is built here, from the
signed model, or comes along in its signed bundle, and is found again by a key of all that it
depends on.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.plans import Key
from runtime.engines.onnx_outside import check_outside
from runtime.kept import cache_folder
from runtime.locating import file_digest
from wire.durable import write_durably
from wire.troubles import Refused, Unavailable

L4T = Path("/etc/nv_tegra_release")
MOST_KEPT = 8  # plans of one device: four pipelines, with the model that runs and one other each
SUM_BYTES = 32  # before a plan: the sha256 of it, as a disk that lies would have us run anything


def key_of(model_file: Path, shape: tuple[int, ...], module: Any, architecture: str) -> Key:
    """Of a model, on this device. shape: of the input, as declared, or (). module: TensorRT's.
    Raises Refused if the model wants to read files that are not its own."""
    parts = (model_file, *check_outside(model_file))
    digests = [file_digest(part) for part in parts]
    if len(digests) > 1:
        digests = [hashlib.sha256("".join(digests).encode()).hexdigest()]
    name = module.__name__.partition(".")[0]
    version = f"{name} {module.__version__}"
    return Key(digests[0], shape, version, architecture, l4t_release())


def l4t_release(path: Path = L4T) -> str:
    """The release of Jetson Linux, as "36.4.3"; "" on what is no Jetson."""
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    found = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", text)
    return f"{found[1]}.{found[2]}" if found else ""


def folder() -> Path:
    """Where plans are kept. Raises Unavailable where there is no cache."""
    cache = cache_folder()
    if cache is None:
        raise Unavailable("there is no folder to keep what TensorRT builds: set XDG_CACHE_HOME")
    return cache / "tensorrt"


def kept(key: Key) -> bytes | None:
    """A plan that was kept before; None too if the disk has damaged it. It counts as used now."""
    path = _place(key)
    with suppress(OSError):
        content = path.read_bytes()
        checksum, plan = content[:SUM_BYTES], content[SUM_BYTES:]
        if hashlib.sha256(plan).digest() == checksum:
            with suppress(OSError):  # on a disk that cannot be written to it is all the same
                os.utime(path)
            return plan
    return None


def forget(key: Key) -> None:
    """Throw a plan away."""
    _place(key).unlink(missing_ok=True)


def keep(key: Key, plan: bytes) -> None:
    """Keep a plan, and not too many of them: what was used least recently goes. All or nothing.
    Raises OSError."""
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    write_durably(_place(key), hashlib.sha256(plan).digest() + plan)
    for _, old in sorted(_used(place), reverse=True)[MOST_KEPT:]:
        old.unlink(missing_ok=True)


def _place(key: Key) -> Path:
    shape = "x".join(map(str, key.shape))
    words = "\n".join((key.model, shape, key.tensorrt, key.architecture, key.l4t))
    return folder() / f"{hashlib.sha256(words.encode()).hexdigest()}.plan"


def _used(place: Path) -> Iterator[tuple[float, Path]]:
    """When each plan was used last."""
    for path in place.glob("*.plan"):
        with suppress(FileNotFoundError):  # another pipeline's process cleans up, too
            yield path.stat().st_mtime, path


def build(
    module: Any, model_file: Path, shape: tuple[int, ...], told: Callable[[int], None]
) -> bytes:
    """Build the plan of an ONNX file: minutes, on a small board. shape: what the input has where
    the model leaves that open, or (). told: percent done.

    Quantised models bring their Q/DQ nodes, which is the one way from TensorRT 11 on; others may be
    computed in 16 bits, where this version still lets the builder choose. Raises Refused with what
    TensorRT says it cannot do, Unavailable if it has no memory for it. The model reads no files
    but its own: `key_of` has seen to that.
    """
    logger = _errors_of(module)
    builder = module.Builder(logger)
    network = builder.create_network(_creation_flags(module))
    parser = module.OnnxParser(network, logger)
    if not parser.parse_from_file(str(model_file)):
        reasons = [parser.get_error(place).desc() for place in range(parser.num_errors)]
        raise Refused(f"{model_file}: TensorRT cannot read it: {'; '.join(reasons) or logger.said}")
    _close_shape(network, model_file, shape)
    config = builder.create_builder_config()
    for flag in precisions(module.BuilderFlag, _is_quantised(module, network)):
        config.set_flag(flag)
    if hasattr(module, "IProgressMonitor"):
        config.progress_monitor = _progress_of(module, told)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        trouble = Unavailable if "memory" in logger.said.lower() else Refused
        why = logger.said or "it gives no reason"
        raise trouble(f"{model_file}: TensorRT cannot build it: {why}")
    told(100)
    return bytes(plan)


def _creation_flags(module: Any) -> int:
    """Explicit batch, for those before version 10; from then on it is the only way. Quantised
    models are strongly typed from 11 on, whether one says so or not."""
    flag = getattr(module.NetworkDefinitionCreationFlag, "EXPLICIT_BATCH", None)
    return 0 if flag is None else 1 << int(flag)


def precisions(flags: Any, is_quantised: bool) -> list[Any]:
    """What the builder may compute in besides 32 bits. flags: TensorRT's BuilderFlag.

    Up to version 10 it refuses Q/DQ nodes without INT8; from 11 on there are no such flags, as the
    model alone says it. Source: NVIDIA's developer guide of 8.6 and 10, on quantisation.
    """
    wanted = getattr(flags, "INT8" if is_quantised else "FP16", None)
    return [] if wanted is None else [wanted]


def _close_shape(network: Any, model_file: Path, shape: tuple[int, ...]) -> None:
    """Give an input that leaves dimensions open its size, one for all time: a batch of 1, and what
    is declared of the rest."""
    if network.num_inputs != 1:
        return  # refused when it is opened, with the inputs' names
    only = network.get_input(0)
    wanted = [int(side) for side in only.shape]
    if -1 not in wanted:
        return
    if len(shape) != len(wanted) and -1 in wanted[1:]:
        raise Refused(
            f"{model_file}: input {only.name!r} leaves its size open {tuple(wanted)}: write a "
            "manifest.toml that gives width and height, or export it with a fixed size"
        )
    closed = shape if len(shape) == len(wanted) else (1, *wanted[1:])
    only.shape = tuple(
        given if side == -1 else side for side, given in zip(wanted, closed, strict=True)
    )


def _is_quantised(module: Any, network: Any) -> bool:
    kinds = (module.LayerType.QUANTIZE, module.LayerType.DEQUANTIZE)
    return any(network.get_layer(place).type in kinds for place in range(network.num_layers))


def _errors_of(module: Any) -> Any:
    """A logger that keeps the last error, for a sentence."""

    class Errors(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.said = ""

        def log(self, severity: Any, text: str) -> None:
            if severity in (module.ILogger.ERROR, module.ILogger.INTERNAL_ERROR):
                self.said = text.strip().splitlines()[0][:300] if text.strip() else self.said

    return Errors()


def _progress_of(module: Any, told: Callable[[int], None]) -> Any:
    """Tells percents, each once. A phase within another fills the step in which it begins."""

    class Progress(module.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self._spans: dict[str, _Span] = {}
            self._told = -1

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            around = self._spans.get(parent or "")
            low, high = (0.0, 99.0) if around is None else around.step
            self._spans[phase] = _Span(low, high, max(1, steps))

        def step_complete(self, phase: str, step: int) -> bool:
            span = self._spans[phase]
            span.done = min(step + 1, span.steps)
            percent = int(span.step[0])
            if percent > self._told:
                self._told = percent
                told(percent)
            return True

        def phase_finish(self, phase: str) -> None:
            self._spans.pop(phase, None)

    return Progress()


@dataclass
class _Span:
    """From where to where a phase leads, in percent, and how many of its steps are done."""

    low: float
    high: float
    steps: int
    done: int = 0

    @property
    def step(self) -> tuple[float, float]:
        """What the next step leads through."""
        width = (self.high - self.low) / self.steps
        return self.low + width * self.done, self.low + width * min(self.done + 1, self.steps)
