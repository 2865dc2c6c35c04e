"""A device's answer as a person reads it. Whatever a device says is made safe to print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from fleet.wording import number, printable
from wire.messages import PipelineState, Reply, State

MOST_ROWS = 64


class Times(Struct, frozen=True):
    """Microseconds."""

    p50: float
    p95: float
    p99: float


class Flow(Struct, frozen=True):
    """Flat out: microseconds per frame, and how that compares to the slower of the two."""

    frame_us: float
    camera_us: float
    raw_us: float
    ratio: float


class Figures(Struct, frozen=True):
    """What a device measured: the bill of `vedette bench`."""

    model: str
    engine: str
    threads: int
    camera: str
    frames: int
    raw_us: Times
    end_to_end_us: Times
    preprocess_us: Times
    own_us: Times
    overhead_us: float
    overhead_ratio: float
    flow: Flow
    peak_rss_mib: float


def in_words(device: str, reply: Reply) -> str:
    """What was answered, over as many lines as it needs."""
    content = reply.content
    if content is None:
        return printable(reply.text, 1000)
    try:
        if "pipelines" in content:
            return _status(device, msgspec.convert(content, State))
        return _bench(msgspec.convert(content, Figures))
    except (msgspec.ValidationError, UnicodeError):  # of another version than ours
        plain = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=True)
        return f"{printable(reply.text, 1000)}\n{plain}"


def aligned(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows as lines whose columns begin at the same places."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (indent + "  ".join(f"{cell:<{wide}}" for cell, wide in zip(row, widths, strict=True)))
        .rstrip()
        for row in rows
    ]  # fmt: skip


def _status(device: str, state: State) -> str:
    lines = [f"{device}: vedette {printable(state.agent)} on {printable(state.board)}"]
    lines += [f"  fault: {printable(fault, 300)}" for fault in state.faults[:MOST_ROWS]]
    if state.config is not None:
        lines.append(f"  new config refused: {printable(state.config, 300)}")
    facts = [
        (
            "telemetry",
            f"every {state.telemetry_s:g} s, acknowledged by the {state.acknowledged_by}",
        ),
        ("snapshots", "allowed" if state.snapshots else "not allowed"),
        ("log level", state.log_level),
        ("groups", printable(", ".join(state.groups), 300) or "none"),
    ]
    lines += aligned(facts)
    if not state.pipelines:
        return "\n".join([*lines, "  no pipelines"])
    titles = ("pipeline", "phase", "model", "engine", "camera", "restarts", "results", "min score")
    rows = [_pipeline(name, each) for name, each in sorted(state.pipelines.items())[:MOST_ROWS]]
    lines += ["", *aligned([titles, *rows])]
    lines += [
        f"  {printable(name)}: {printable(each.absent, 300)}"
        for name, each in sorted(state.pipelines.items())[:MOST_ROWS]
        if each.absent
    ]
    return "\n".join(lines)


def _pipeline(name: str, state: PipelineState) -> tuple[str, ...]:
    settings = state.settings
    often = "" if settings.results == "off" else f", {settings.results_per_s:g}/s"
    return (
        printable(name),
        state.phase.replace("_", " "),
        printable(f"{state.model} {state.version}"),
        printable(state.engine),
        printable(state.camera, 48),
        number(state.restarts),
        f"{settings.results}{often}",
        "the model's" if settings.min_score is None else f"{settings.min_score:g}",
    )


def _bench(figures: Figures) -> str:
    threads = f"{figures.threads} thread{'' if figures.threads == 1 else 's'}"
    rows = [
        ("", "p50", "p95", "p99"),
        *(
            (name, *(f"{us:,.0f} us" for us in (times.p50, times.p95, times.p99)))
            for name, times in (
                ("raw engine call", figures.raw_us),
                ("end to end", figures.end_to_end_us),
                ("preprocess", figures.preprocess_us),
                ("the loop's own share", figures.own_us),
            )
        ),
    ]
    flow = figures.flow
    more = [
        ("overhead", f"{figures.overhead_us:,.0f} us a frame, {figures.overhead_ratio:.3f} x raw"),
        ("flat out", f"{flow.frame_us:,.0f} us a frame, {flow.ratio:.3f} x the slower of camera "
         f"({flow.camera_us:,.0f}) and engine ({flow.raw_us:,.0f})"),
        ("peak memory", f"{figures.peak_rss_mib:.1f} MiB"),
    ]  # fmt: skip
    title = f"{printable(figures.model)} with {printable(figures.engine)}, {threads}, on "
    title += f"{printable(figures.camera, 100)}, {figures.frames} frames, beside the live loop"
    return "\n".join([title, "", *aligned(rows), "", *aligned(more)])


def as_json(reply: Reply, file: str | None = None) -> str:
    """The reply in one JSON object; file: where a picture was saved."""
    fields: dict[str, Any] = {"id": reply.id, "ok": reply.ok, "text": reply.text}
    fields["content"] = reply.content
    return json.dumps(fields if file is None else fields | {"file": file})
