"""`vedette bench`: the whole loop against the bare engine call, interleaved in one run."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from runtime.cameras import Ended, open_camera
from runtime.commands.flags import (
    add_camera_option,
    add_model_options,
    engine_options,
    positive,
)
from runtime.commands.run import judge_camera, open_named
from runtime.loop import Loop, Model
from runtime.measuring import (
    Bench,
    Flowing,
    NoFrames,
    Paired,
    allocated_per_frame,
    calls_per_frame,
    flowing,
    paired,
)
from runtime.memory import peak_rss_bytes, process_started_ns
from runtime.panel import Spread
from wire.command_line import Parser
from wire.masking import masked
from wire.troubles import Unavailable

USUAL_CAMERA = "synthetic://640x480"
TRACED_FRAMES = 50  # measured with tracers attached, which slow everything down


@dataclass(frozen=True)
class Bill:
    """What a frame costs, in microseconds; runtime/measuring.py says how each was measured."""

    model: str
    engine: str
    threads: int
    camera: str
    frames: int
    raw_us: Spread
    end_to_end_us: Spread
    preprocess_us: Spread
    own_us: Spread
    overhead_us: float
    overhead_ratio: float
    flow: Flowing
    allocated_bytes_per_frame: int
    system_calls_per_frame: float | None
    peak_rss_mib: float
    first_result_s: float


def main(argv: Sequence[str]) -> int:
    if "--suite" in argv:  # has options of its own
        from runtime.commands import bench_suite

        return bench_suite.main([word for word in argv if word != "--suite"])
    words = parser().parse_args(argv)
    judge_camera(words.camera)
    model = open_named(words)
    if model.manifest.row is not None and words.camera == USUAL_CAMERA:
        words.camera = f"rows+synthetic://{model.manifest.row.count}"
    try:
        bill = measure(words, model)
    except Ended:
        raise Unavailable(
            f"{masked(words.camera)}: ended before all was measured: "
            "add ?loop=yes, or fewer --frames"
        ) from None
    except NoFrames as reason:
        raise Unavailable(f"{masked(words.camera)}: {reason}") from None
    print(msgspec.json.encode(bill).decode() if words.json else in_words(bill))
    return 0


def measure(words: argparse.Namespace, model: Model) -> Bill:
    """Run every measurement on one open camera and model."""
    bench = Bench()
    with open_camera(words.camera, model.aim) as camera:
        loop = Loop(camera, model, bench.emit)
        first_ns = bench.step(loop).timing.decoded_ns
        for _ in range(10):
            bench.step(loop)
        pairs: Paired = paired(bench, loop, words.frames)
        flow = flowing(bench, loop, camera, words.frames)
        rss_mib = peak_rss_bytes() / 2**20
        allocated = allocated_per_frame(bench, loop, TRACED_FRAMES)
        calls = calls_per_frame(bench, loop, TRACED_FRAMES)
    return Bill(
        f"{model.manifest.name} {model.manifest.version}",
        model.engine_kind,
        engine_options(words).thread_count,
        masked(words.camera),
        words.frames,
        pairs.raw,
        pairs.end_to_end,
        pairs.preprocess,
        pairs.own,
        pairs.overhead_us,
        pairs.overhead_ratio,
        flow,
        allocated,
        calls,
        rss_mib,
        (first_ns - process_started_ns()) / 1e9,
    )


def in_words(bill: Bill) -> str:
    """The bill as a person reads it."""
    calls = bill.system_calls_per_frame
    threads = f"{bill.threads} thread" + ("s" if bill.threads > 1 else "")
    return "\n".join(
        [
            f"{bill.model} with {bill.engine}, {threads}, on {bill.camera}, {bill.frames} frames",
            "",
            "                          p50        p95        p99",
            _row("raw engine call", bill.raw_us),
            _row("end to end", bill.end_to_end_us),
            _row("  preprocess", bill.preprocess_us),
            _row("  the loop's own share", bill.own_us),
            "",
            f"overhead            {bill.overhead_us:10,.0f} us a frame, "
            f"{bill.overhead_ratio:.3f} x the raw call",
            f"flat out            {bill.flow.frame_us:10,.0f} us a frame, {bill.flow.ratio:.3f} x "
            f"the slower of camera ({bill.flow.camera_us:,.0f}) and engine "
            f"({bill.flow.raw_us:,.0f})",
            f"allocated           {bill.allocated_bytes_per_frame:10,} bytes a frame at most",
            "system calls          "
            + (f"{calls:8.1f} a frame" if calls is not None else "not counted: needs strace"),
            f"peak memory         {bill.peak_rss_mib:10.1f} MiB",
            f"first result after  {bill.first_result_s:10.2f} s",
        ]
    )


def _row(name: str, times: Spread) -> str:
    return f"{name:<22} {times.p50:7,.0f} us {times.p95:7,.0f} us {times.p99:7,.0f} us"


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette bench",
        description="Measure the whole loop against the bare engine call, interleaved in one run: "
        "ratios hold on a noisy machine, absolute times do not.",
    )
    parser.add_argument(
        "--suite", action="store_true",
        help="measure all engines, models and cameras instead: vedette bench --suite --help",
    )  # fmt: skip
    add_camera_option(parser)
    parser.set_defaults(camera=USUAL_CAMERA)
    add_model_options(parser)
    parser.add_argument(
        "--frames", type=positive, default=300, metavar="N", help="pairs (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the bill as one JSON object")
    return parser
