"""`vedette bench --suite` with the zoo's models and three with random weights, as a table."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from scripts.benching.page import ROOT, machine

PICTURE = "images/bench-suite.svg"
HEAD = """
## Every engine

`vedette bench --suite --model FOLDER --threads 1 --seconds {seconds:g}`, the zoo's two models and
three with random weights (MobileNetV2-224 once as int8 `.tflite`, once as `.onnx` with Q/DQ pairs
inside, SSD-320 as int8 `.tflite`). {machine}; engines: {engines}; `synthetic://`
cameras. TensorRT and
accelerators were not to be had.

| model | engine | camera | raw p50 | raw p95 | end to end p50 | ratio | per second | MiB |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
TAIL = f"""
Times in microseconds. *Per second* is what the loop carries in a row, without the bare calls
between; the other columns come from calls and frames in turn. The same, as `--plot` draws it:

![A bar for each row: the engine call, and what a frame takes beside it]({PICTURE})
"""


def section(seconds: float) -> str:
    """Also draws the picture that the section shows."""
    from tests.budget.bill import mobilenet, ssd
    from tests.graphs import cached, onnx_network

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        of_onnx = cached("mobilenet_v2.onnx", onnx_network.mobilenet_v2)
        for stem, path in (
            ("MobileNetV2-224", mobilenet()),
            ("MobileNetV2-224", of_onnx),
            ("SSD-320", ssd()),
        ):
            (folder / f"{stem}{path.suffix}").symlink_to(path)
        command = [sys.executable, "-m", "vedette", "bench", "--suite", "--model", name, "--json"]
        command += ["--threads", "1", "--seconds", f"{seconds:g}"]
        command += ["--plot", str(ROOT / "docs" / PICTURE)]
        suite = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    engines = ", ".join(one["name"] for one in suite["engines"] if one["trouble"] is None)
    head = HEAD.format(seconds=seconds, machine=machine(), engines=engines)
    return head + "".join(map(row, suite["rows"])) + TAIL


def row(told: Any) -> str:
    """One line of the table; what did not run says why."""
    of, measured = told["of"], told["measured"]
    line = f"| {of['model']} | {of['engine']} | {of['camera'].partition('://')[2]} | "
    if measured is None:
        return line + f"{told['trouble']} | | | | | |\n"
    raw, whole = measured["raw_us"], measured["end_to_end_us"]
    return (
        line + f"{raw['p50']:,.0f} | {raw['p95']:,.0f} | {whole['p50']:,.0f} | "
        f"{measured['overhead_ratio']:.3f} | {measured['frames_per_s']:,.0f} | "
        f"{measured['peak_rss_mib']:.0f} |\n"
    )
