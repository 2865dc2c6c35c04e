"""`vedette doctor`: each camera and engine here works, or the exact reason and what to install."""

from __future__ import annotations

import argparse
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import msgspec

from runtime.cameras import make_camera, v4l2_list
from runtime.child import run_check
from runtime.engines import BY_FORMAT, engine_reason
from runtime.locating import ZOO
from runtime.probe import Probe
from wire.troubles import Trouble

TRIED = "digits"  # the zoo model that every engine is tried with
PACKAGES = {
    "litert": ("ai-edge-litert", "tflite-runtime"),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
}
OWN_CAMERAS = ("synthetic://64x48", f"file://{ZOO / TRIED / 'tflite'}")


@dataclass(frozen=True)
class Findings:
    """What works on this machine."""

    machine: str
    python: str
    engines: tuple[Probe, ...]
    cameras: tuple[Probe, ...]


def main(argv: Sequence[str]) -> int:
    """0 if at least one engine works: without one nothing can be run."""
    parser = argparse.ArgumentParser(
        prog="vedette doctor",
        description="Try every engine with a real model and every camera with a real frame.",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    words = parser.parse_args(argv)
    findings = examine()
    print(msgspec.json.encode(findings).decode() if words.json else in_words(findings))
    return 0 if any(engine.works for engine in findings.engines) else 1


def examine() -> Findings:
    """Try everything."""
    return Findings(
        f"{platform.machine()} {platform.system()} {platform.release()}",
        platform.python_version(),
        tuple(_try_engine(model_format, kind) for model_format, kind in BY_FORMAT.items()),
        tuple(_try_own_camera(uri) for uri in OWN_CAMERAS) + tuple(v4l2_list.probe()),
    )


def _try_engine(model_format: str, kind: str) -> Probe:
    reason = engine_reason(kind)
    if reason is not None:
        return Probe(kind, False, reason)
    try:
        report = run_check(ZOO / TRIED / model_format, kind)
    except Trouble as trouble:
        return Probe(kind, False, str(trouble))
    return Probe(
        kind,
        True,
        f"{_installed(kind)}; {report.name} {report.version}: {report.golden} golden samples "
        f"right, {report.inference_us:.0f} us a run",
    )


def _installed(kind: str) -> str:
    for package in PACKAGES[kind]:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            continue
    return kind


def _try_own_camera(uri: str) -> Probe:
    name = uri.split(":")[0]
    camera = make_camera(uri)
    try:
        camera.start()
        frame = camera.read(5.0)
        if frame is None:
            return Probe(name, False, "no frame came within 5 s")
        layout = frame.layout
        frame.release()
        return Probe(name, True, f"{layout.width}x{layout.height} {layout.format}")
    except Trouble as trouble:
        return Probe(name, False, str(trouble))
    finally:
        camera.stop()


def in_words(findings: Findings) -> str:
    """The findings as a person reads them."""
    return "\n".join(
        [
            f"{findings.machine}, Python {findings.python}",
            "",
            "engines",
            *_rows(findings.engines),
            "",
            "cameras",
            *_rows(findings.cameras),
        ]
    )


def _rows(probes: Sequence[Probe]) -> Iterator[str]:
    width = max(len(probe.name) for probe in probes)
    for probe in probes:
        yield f"  {'works' if probe.works else 'NO   '}  {probe.name:<{width}}  {probe.reason}"
