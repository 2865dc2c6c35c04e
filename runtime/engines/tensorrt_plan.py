"""TensorRT's plans: what is built from an ONNX model on this very device, and kept for it.

A plan is native code for one version of TensorRT and one kind of device. It is built here, from the
signed model, and found again by a key of all that it depends on; none is ever taken from elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.kept import cache_folder
from wire.durable import write_durably
from wire.troubles import Refused, Unavailable

L4T = Path("/etc/nv_tegra_release")
MOST_KEPT = 4  # plans of one device: of the models that run, and of those before


@dataclass(frozen=True)
class Key:
    """What a plan depends on. digest: sha256 of the model file. tensorrt: name and version.
    architecture: "sm_87". l4t: of a Jetson's system, "" elsewhere."""

    digest: str
    tensorrt: str
    architecture: str
    l4t: str

    @property
    def file_name(self) -> str:
        words = "\n".join((self.digest, self.tensorrt, self.architecture, self.l4t))
        return f"{hashlib.sha256(words.encode()).hexdigest()}.plan"


def key_of(model_file: Path, module: Any, architecture: str) -> Key:
    """Of a model, on this device. module: TensorRT's."""
    digest = hashlib.sha256(model_file.read_bytes()).hexdigest()
    name = module.__name__.partition(".")[0]
    return Key(digest, f"{name} {module.__version__}", architecture, l4t_release())


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
    """A plan that was built before."""
    with suppress(OSError):
        return (folder() / key.file_name).read_bytes()
    return None


def forget(key: Key) -> None:
    """Throw a plan away."""
    (folder() / key.file_name).unlink(missing_ok=True)


def keep(key: Key, plan: bytes) -> None:
    """Keep a plan, and not too many of them: what is read least recently goes. All or nothing."""
    place = folder()
    place.mkdir(parents=True, exist_ok=True)
    write_durably(place / key.file_name, plan)
    plans = sorted(place.glob("*.plan"), key=lambda each: each.stat().st_mtime, reverse=True)
    for old in plans[MOST_KEPT:]:
        old.unlink(missing_ok=True)


def build(module: Any, model_file: Path, told: Callable[[int], None]) -> bytes:
    """Build the plan of an ONNX file: minutes, on a small board. told: percent done.

    Quantised models bring their Q/DQ nodes, which is the one way from TensorRT 11 on; others may be
    computed in 16 bits, where this version still lets the builder choose. Raises Refused with what
    TensorRT says it cannot do, Unavailable if it has no memory for it.
    """
    logger = _errors_of(module)
    builder = module.Builder(logger)
    network = builder.create_network(_creation_flags(module))
    parser = module.OnnxParser(network, logger)
    if not parser.parse_from_file(str(model_file)):
        reasons = [parser.get_error(place).desc() for place in range(parser.num_errors)]
        raise Refused(f"{model_file}: TensorRT cannot read it: {'; '.join(reasons) or logger.said}")
    config = builder.create_builder_config()
    half = getattr(module.BuilderFlag, "FP16", None)
    if half is not None and not _is_quantised(module, network):
        config.set_flag(half)
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
