"""Each engine, tried with a real model; where it does not work, the line that installs it."""

from __future__ import annotations

import os
import platform
import shlex
import sys
from collections.abc import Collection, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from runtime.child import run_check
from runtime.engines import BY_FORMAT, engine_reason
from runtime.locating import ZOO
from wire.finding import Finding, Level
from wire.troubles import Trouble

TRIED = "digits"  # the zoo model that every engine is tried with
PACKAGES = {
    "litert": ("ai-edge-litert", "tflite-runtime"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
}
SERVICES = Path("/opt/vedette")  # whose bin/ is always that of the release in use


def look_at_engines(needed: Collection[str] | None) -> Iterator[Finding]:
    """needed: those that the pipelines name, or their models need; None: there are no pipelines."""
    tried = {kind: _try(model_format, kind) for model_format, kind in BY_FORMAT.items()}
    works = any(reason is None for _, reason in tried.values())
    for kind, (says, reason) in tried.items():
        if reason is None:
            yield Finding("engines", "ok", kind, says)
        elif needed is not None and works and kind not in needed and engine_reason(kind):
            yield Finding("engines", "ok", kind, f"{reason}; no pipeline here needs it")
        else:
            is_missed = not works or (needed is not None and kind in needed)
            level: Level = "bad" if is_missed else "warning"
            yield Finding("engines", level, kind, reason, install(kind, reason))


def _try(model_format: str, kind: str) -> tuple[str, str | None]:
    """What it did, and why it does not work."""
    reason = engine_reason(kind)
    if reason is not None:
        return "", reason
    try:
        report = run_check(ZOO / TRIED / model_format, kind)
    except Trouble as trouble:
        return "", str(trouble)
    return (
        f"{_installed(kind)}; {report.name} {report.version}: {report.golden} golden samples "
        f"right, {report.inference_us:.0f} us a run",
        None,
    )


def _installed(kind: str) -> str:
    for package in PACKAGES[kind]:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    return kind


def install(kind: str, reason: str) -> str:
    """The line that installs what is missing."""
    if "libgomp" in reason:
        return "sudo apt-get install -y libgomp1"
    package = PACKAGES[kind][0]
    if kind == "litert" and (sys.maxsize < 2**32 or platform.machine() == "armv7l"):
        package = "tflite-runtime 'numpy<2'"  # there is no ai-edge-litert for 32 bits
    return into_this(package if "is missing" in reason else f"--force-reinstall {package}")


def into_this(packages: str) -> str:
    """The line that installs packages into the environment that this runs in."""
    inside = Path(sys.prefix).resolve().is_relative_to(SERVICES.resolve())
    python = SERVICES / "bin/python" if inside else Path(sys.executable)
    sudo = "" if os.access(sys.prefix, os.W_OK) and not inside else "sudo "
    return f"{sudo}{shlex.quote(str(python))} -m pip install {packages}"
