"""May this model be run here? Contract, golden answers, time and memory, all in this process."""

from __future__ import annotations

import time

import numpy as np

from runtime.check_report import Report
from runtime.engines import EngineOptions, device_bytes
from runtime.frames import Frame, packed, row_layout
from runtime.golden import check_golden
from runtime.locating import locate, resolve
from runtime.loop import Model
from runtime.memory import peak_rss_bytes
from runtime.opening import open_model
from wire.steps import reached
from wire.troubles import Refused

MEANINGLESS = ("none", "ssd")  # heads whose outputs may hold garbage: SSD's beyond its count


def check(path: str, engine_kind: str | None, options: EngineOptions) -> Report:
    """Open the model and try it. Raises Refused with what is wrong."""
    started, base_mb = time.monotonic_ns(), peak_rss_bytes() / 1e6
    with locate(resolve(path), engine_kind) as located:
        model = open_model(located, options)
        loaded = time.monotonic_ns()
        reached("check.in_child", model.digest)
        try_pictures(model, path)
        golden = check_golden(model, located.folder)
        runs = []
        for _ in range(5):
            before = time.monotonic_ns()
            model.engine.run()
            runs.append(time.monotonic_ns() - before)
        device_mb = device_bytes(model.engine) / 1e6
        model.engine.close()
    peak_mb = peak_rss_bytes() / 1e6
    allowed = model.manifest.limits.memory_mb
    if allowed is not None and peak_mb > allowed:
        raise Refused(f"{path}: used {peak_mb:.0f} MB of memory, its manifest allows {allowed:g}")
    return Report(
        True,
        model.manifest.name,
        model.manifest.version,
        model.digest,
        located.engine_kind,
        golden,
        (loaded - started) / 1e6,
        sorted(runs)[2] / 1e3,
        peak_mb,
        base_mb,
        device_mb,
    )


def try_pictures(model: Model, path: str) -> None:
    """Black, white and noise: what makes an engine crash or lie should do so here, not live. Of
    rows nothing is known but their length: they are zeros.

    Raises Refused if an output of a known meaning is no number.
    """
    wanted = model.manifest.input
    if (row := model.manifest.row) is not None:
        layout = row_layout(row.count)
        tried = [np.zeros(layout.nbytes, np.uint8)]
    else:
        layout = packed("RGB3", wanted.width, wanted.height)
        noise = np.random.default_rng(0).integers(0, 256, layout.nbytes, np.uint8)
        tried = [np.zeros_like(noise), np.full_like(noise, 255), noise]
    for pixels in tried:
        with Frame(0, 0, layout, pixels, lambda: None) as frame:
            view = model.prepare(frame, model.engine.input())
        outputs = model.engine.run()
        if model.manifest.decoding.head not in MEANINGLESS:
            for spec, output in zip(model.engine.gives, outputs, strict=True):
                if output.size and not output.max() < np.inf:  # NaN too
                    raise Refused(
                        f"{path}: output {spec.name!r} holds NaN or infinity: the model is broken: "
                        "export it again"
                    )
        model.decode(outputs, view)
