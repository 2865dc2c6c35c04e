"""A device's answer as a person reads it. Whatever a device says is made safe to print."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from fleet.wording import count, duration, model_words, number, printable
from wire.messages import PipelineState, Reply, State
from wire.results import Figures
from wire.troubles import Refused

MOST_ROWS = 100


def in_words(device: str, reply: Reply) -> str:
    """What was answered, over as many lines as it needs."""
    content = reply.content
    if content is None:
        return printable(reply.text, 1000)
    try:
        if "pipelines" in content:
            return _status(device, msgspec.convert(content, State))
        return _bench(msgspec.convert(content, Figures))
    # of another version than ours, or whole numbers of hundreds of digits
    except (msgspec.ValidationError, UnicodeError, OverflowError):
        return f"{printable(reply.text, 1000)}\n{_plain(content)}"


def _plain(content: dict[str, Any]) -> str:
    try:
        return json.dumps(content, indent=2, sort_keys=True)
    except RecursionError:
        return "(nested too deeply to be shown)"


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
    lines += _more(len(state.faults), "fault")
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
    lines += ["", *aligned([titles, *rows]), *_more(len(state.pipelines), "pipeline")]
    lines += [
        f"  {printable(name)}: {printable(each.absent, 300)}"
        for name, each in sorted(state.pipelines.items())[:MOST_ROWS]
        if each.absent and not any(each.absent in fault for fault in state.faults)
    ]
    return "\n".join(lines)


def _more(many: int, word: str) -> list[str]:
    """The line that says how many of them are not shown, if any."""
    hidden = many - MOST_ROWS
    return [f"  and {count(hidden)} more {word}{'' if hidden == 1 else 's'}"] if hidden > 0 else []


def _pipeline(name: str, state: PipelineState) -> tuple[str, ...]:
    settings = state.settings
    often = "" if settings.results == "off" else f", {settings.results_per_s:g}/s"
    return (
        printable(name),
        state.phase.replace("_", " "),
        printable(model_words(state.model, state.version)),
        printable(state.engine or "-"),
        printable(state.camera, 48),
        number(state.restarts),
        f"{settings.results}{often}",
        "the model's" if settings.min_score is None else f"{settings.min_score:g}",
    )


def _bench(figures: Figures) -> str:
    stages, losses = figures.stages_us, figures.losses
    rows = [("", "p50", "p95", "p99")]
    for name, times in (
        ("queue", stages.queue),
        ("preprocess", stages.preprocess),
        ("inference", stages.inference),
        ("postprocess", stages.postprocess),
        ("end to end", stages.end_to_end),
    ):
        rows.append((name, duration(times.p50), duration(times.p95), duration(times.p99)))
    title = f"{printable(figures.model)} {printable(figures.version)} with "
    title += f"{printable(figures.engine)}: {count(figures.frames)} frames of the live loop in "
    title += f"{number(figures.seconds, 's', 1)}, {number(figures.fps, 'per second', 1)}"
    lost = losses.skipped + losses.driver + losses.decode + losses.refused
    return "\n".join([title, "", *aligned(rows), "", f"  frames without a result: {count(lost)}"])


def as_json(reply: Reply, file: str | None = None) -> str:
    """The reply in one JSON object; file: where a picture was saved. Raises Refused."""
    fields: dict[str, Any] = {"id": reply.id, "ok": reply.ok, "text": reply.text}
    fields["content"] = reply.content
    try:
        return json.dumps(fields if file is None else fields | {"file": file})
    except RecursionError:
        raise Refused("the answer is nested too deeply to be shown") from None
