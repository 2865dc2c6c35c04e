"""The loop against the bare engine, what reporting costs it, and what the agent takes."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from scripts.benching.page import ROOT, machine

CAMERAS = ("224x224", "640x480", "640x480?format=YUYV", "640x480?format=NV12", "1280x720")
HEAD = """# Performance

Measured by `scripts/bench`, each section by itself and maybe not on the same day; run it again on
your own machine. Every row of this first table is one process in which bare engine calls and whole
frames take turns, so that ratios hold where the machine is noisy; each row is the best of {tries}
such processes by its ratio, since other work can only make it worse.

{machine}, Python {python}, one inference thread. MobileNetV2-224 and SSD-320 are int8 with random
weights, run by LiteRT. ONNX is that MobileNetV2-224 with Q/DQ pairs inside, run by ONNX Runtime: as
it takes bytes, or planes of float32. digits is the zoo's. `raw` is the engine call alone, `end to
end` runs from the camera's stamp to the decoded answer, `own` is everything but the engine call and
preprocessing. Times in microseconds, medians.

| model | camera | raw | end to end | ratio | preprocess | own | bytes a frame | peak MiB |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""
FLOW = """
From a 1280x720 MJPEG file, decoded beside inference at the size that the model needs: microseconds
per frame of the camera alone, of the engine alone, and of the whole loop flat out.

| model | camera alone | engine alone | loop | ratio to the slower one |
| --- | --- | --- | --- | --- |
"""


def section(tries: int, frames: int) -> str:
    """The first section, with the page's heading."""
    from tests.budget.bill import mobilenet, mobilenet_onnx, ssd
    from tests.graphs import cached, onnx_network

    page = HEAD.format(tries=tries, machine=machine(), python=platform.python_version())
    rows = [("MobileNetV2-224", str(mobilenet()), f"synthetic://{camera}") for camera in CAMERAS]
    rows += [("ONNX, bytes", str(mobilenet_onnx()), f"synthetic://{each}") for each in CAMERAS[:3]]
    of_floats = cached("mobilenet_v2.onnx", onnx_network.mobilenet_v2)
    rows += [("ONNX, float32", str(of_floats), "synthetic://640x480")]
    rows += [("SSD-320", str(ssd()), "synthetic://640x480")]
    rows += [("digits", "digits", "synthetic://640x480")]
    for name, path, camera in rows:
        bill = best(tries, path, camera, frames, "overhead_ratio")
        page += row(name, camera, bill)
    page += FLOW
    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "720p.avi"
        make_video(video)
        for name, path in (("MobileNetV2-224", str(mobilenet())), ("SSD-320", str(ssd()))):
            flow = best(tries, path, f"file://{video}?loop=yes", frames, "flow")["flow"]
            page += (
                f"| {name} | {flow['camera_us']:,.0f} | {flow['raw_us']:,.0f} | "
                f"{flow['frame_us']:,.0f} | {flow['ratio']:.3f} |\n"
            )
    return page + own_share(tries, frames) + reporting(tries)


def own_share(tries: int, frames: int) -> str:
    """What our own code costs when no model empties the caches in between."""
    command = [sys.executable, "-m", "vedette", "bench", "--model", "digits", "--engine", "null"]
    command += ["--camera", "synthetic://224x224", "--frames", str(frames), "--json"]
    shares = []
    for _ in range(tries):
        done = subprocess.run(command, stdout=subprocess.PIPE, cwd=ROOT, check=True)
        shares.append(json.loads(done.stdout)["own_us"]["p50"])
    return (
        f"\nWith the null engine, the loop's own share is {min(shares):.0f} us a frame: what `own` "
        "above is more than that is Python's code and ours coming back into caches that the model "
        "has emptied.\n"
    )


def reporting(tries: int) -> str:
    """What it costs to be reported on."""
    from statistics import median

    from tests.budget.bill import mobilenet
    from tests.budget.test_reporting import measured

    growths, shares = [], []
    for number in range(tries):
        print(f"bench: reporting, {number + 1} of {tries}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            for run in measured(Path(folder), mobilenet()):
                ends = run.ends_us
                growths.append(median(ends["with"]) / median(ends["without"]))
                shares.append(median(run.own_ns) / 1e3)
    text = (
        "\nReported on with every result published (MobileNetV2-224, 640x480), a frame's median "
        f"end to end is {min(growths):.3f} x that of a frame beside it that is not; telling "
        f"the agent takes {min(shares):.0f} us between two frames.\n"
    )
    return text + agent()


def agent() -> str:
    """What the agent takes beside a runtime at 30 frames a second."""
    import time

    from tests.brokers import Listener, Mosquitto
    from tests.budget.test_agent import MEASURED_S, cpu_s, rss_mib
    from tests.device import ColdDevice, until

    print(f"bench: the agent, {MEASURED_S} s", file=sys.stderr)
    with tempfile.TemporaryDirectory() as name, Mosquitto(Path(name)) as broker:
        camera = "synthetic://640x480@30"
        listener = Listener(broker.port, "vedette/#")
        with listener, ColdDevice(Path(name) / "device", broker.port, camera=camera) as device:
            pid = device.start("agent").pid
            device.start("lane")
            until(lambda: any("/telemetry" in each.topic for each in listener.heard))
            before_s = cpu_s(pid)
            time.sleep(MEASURED_S)
            share = (cpu_s(pid) - before_s) / MEASURED_S
            return (
                "\nThe agent, with telemetry every 10 s and a result a second, takes "
                f"{share:.2%} of one core and {rss_mib(pid):.0f} MiB.\n"
            )


def best(tries: int, path: str, camera: str, frames: int, by: str) -> Any:
    """The bill with the best ratio of several processes."""
    bills = []
    for number in range(tries):
        print(f"bench: {Path(path).name} on {camera}, {number + 1} of {tries}", file=sys.stderr)
        command = [sys.executable, "-m", "vedette", "bench", "--model", path, "--camera", camera]
        command += ["--frames", str(frames), "--threads", "1", "--json"]
        done = subprocess.run(command, stdout=subprocess.PIPE, cwd=ROOT, check=True)
        bills.append(json.loads(done.stdout))
    return min(bills, key=lambda bill: bill["flow"]["ratio"] if by == "flow" else bill[by])


def row(name: str, camera: str, bill: Any) -> str:
    """One line of the table."""
    return (
        f"| {name} | `{camera}` | {bill['raw_us']['p50']:,.0f} | "
        f"{bill['end_to_end_us']['p50']:,.0f} | {bill['overhead_ratio']:.3f} | "
        f"{bill['preprocess_us']['p50']:,.0f} | {bill['own_us']['p50']:,.0f} | "
        f"{bill['allocated_bytes_per_frame']:,} | {bill['peak_rss_mib']:.0f} |\n"
    )


def make_video(path: Path) -> None:
    """A 1280x720 MJPEG file of the synthetic camera's scene."""
    from tests.budget.video import write_mjpeg

    write_mjpeg(path, frames=60)
