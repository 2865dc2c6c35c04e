"""`vedette check-config [FILE]`: is vedette.toml right, and what would this device do with it?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from runtime.first_root import described
from runtime.foresight import impossible, warnings
from wire import config
from wire.command_line import Parser
from wire.complaints import refusal
from wire.config import Config, Pipeline, Updates
from wire.folders import CONFIG, named_path
from wire.masking import masked
from wire.observation import Filter
from wire.troubles import Trouble, one_line


@dataclass(frozen=True)
class Verdict:
    """refused: why the file is not accepted; then there is no config. warnings: what is amiss on
    this machine, a line each; the file is accepted all the same. cameras: of each pipeline, without
    passwords, to be shown."""

    file: str
    refused: str | None
    warnings: tuple[str, ...]
    config: Config | None
    cameras: dict[str, str] = field(default_factory=dict)


def main(argv: Sequence[str]) -> int:
    """0 if the file is accepted, whatever the warnings. Raises Refused, Unavailable if not."""
    words = parser().parse_args(argv)
    path: Path = words.file
    try:
        verdict = judged(path)
    except Trouble as trouble:
        if words.json:
            print(_as_json(Verdict(str(path), str(trouble), (), None)))
        raise
    print(_as_json(verdict) if words.json else "\n".join(map(one_line, in_words(verdict))))
    return 0


def judged(path: Path) -> Verdict:
    """Read and judge. Raises Unavailable if it cannot be read, Refused with file, line and key."""
    text = config.read(path)
    meant = config.parse(text, str(path))
    for key, what in impossible(meant):
        raise refusal(str(path), text, key, what)
    cameras = {name: masked(one.camera) for name, one in meant.pipeline.items()}
    return Verdict(str(path), None, tuple(warnings(meant)), meant, cameras)


def in_words(verdict: Verdict) -> Iterator[str]:
    """What the device would do, for people, a line each."""
    meant = verdict.config
    if meant is None:
        return
    count = len(verdict.warnings)
    yield f"{verdict.file}: accepted" + (f", {count} warning{'s'[: count > 1]}" if count else "")
    groups = f", in groups {', '.join(meant.groups)}" if meant.groups else ""
    yield f"  device     {meant.device} of fleet {meant.fleet}{groups}; log level {meant.log_level}"
    yield f"  broker     {_broker(meant)}"
    yield f"  telemetry  {_telemetry(meant)}"
    for name, pipeline in meant.pipeline.items():
        yield f"  pipeline   {name}: {_pipeline(pipeline)}"
    if meant.updates.root is not None:
        yield f"  updates    {_updates(meant.updates)}"
    yield f"  commands   {_commands(meant)}"
    if meant.home_assistant.discovery:
        yield f"  discovery  Home Assistant, under {meant.home_assistant.prefix}/"
    yield from (f"  warning: {warning}" for warning in verdict.warnings)


def _broker(meant: Config) -> str:
    broker = meant.broker
    words = broker.url
    if broker.password_file is not None:
        words += f" as {broker.username or meant.device}, password in {broker.password_file}"
    if broker.certificate_file is not None:
        words += f", certificate {broker.certificate_file}"
    return words + (f", authority {broker.ca_file}" if broker.ca_file else "")


def _telemetry(meant: Config) -> str:
    table = meant.telemetry
    return (
        f"every {table.period_s:g} s; kept for at most {table.spool_days:g} days and "
        f"{table.spool_mib} MiB, until the {table.acknowledged_by} has it"
    )


def _pipeline(pipeline: Pipeline) -> str:
    words = f"{pipeline.model or 'what the fleet deploys'} on {masked(pipeline.camera)}"
    words += f", engine {pipeline.engine}" if pipeline.engine else ""
    words += f", {pipeline.threads} threads" if pipeline.threads else ""
    words += f", with {', '.join(pipeline.accelerators)}" if pipeline.accelerators else ""
    if pipeline.results == "off":
        words += "; results stay here"
    else:
        when = {"change": "on change", "every": "of every frame"}[pipeline.results]
        words += f"; results {when}, at most {pipeline.results_per_s:g}/s"
        score = pipeline.min_score
        words += f", from score {score:g}" if score is not None else ""
    words += _observed(pipeline)
    limits = pipeline.limits
    words += f"; fault above {limits.p95_ms:g} ms (p95)" if limits.p95_ms else ""
    return words + (f"; fault above {limits.memory_mib} MiB" if limits.memory_mib else "")


def _observed(pipeline: Pipeline) -> str:
    """What is made of boxes."""
    words = "" if pipeline.filter == Filter() else "; filtered"
    words += "; tracked" if pipeline.tracking else ""
    words += f"; zones {', '.join(pipeline.zone)}" if pipeline.zone else ""
    return words + (f"; lines {', '.join(pipeline.line)}" if pipeline.line else "")


def _updates(updates: Updates) -> str:
    words = f"what follows from {described(str(updates.root))}"
    words += f", also from {updates.mirror}" if updates.mirror else ""
    words += f"; the newest {updates.keep} stay, at most {updates.disk_mib} MiB"
    words += f"; at most {updates.kib_per_s} KiB/s" if updates.kib_per_s else ""
    return words + (f"; at most {updates.mib_per_day} MiB a day" if updates.mib_per_day else "")


def _commands(meant: Config) -> str:
    count, by_release = len(meant.commands.keys), meant.updates.root is not None
    if not count and not by_release:
        return "refused: no key may sign them"
    keys = [f"{count} key{'s'[: count > 1]}"] if count else []
    keys += ["the keys that the fleet's release names"] if by_release else []
    pictures = "allowed" if meant.commands.snapshot else "not allowed"
    return f"signed by {' or '.join(keys)}; snapshots {pictures}"


def _as_json(verdict: Verdict) -> str:
    return msgspec.json.encode(verdict).decode()


def parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="vedette check-config",
        description="Judge a vedette.toml and say what this device would do with it. Exit code 2 "
        "and one line with file, line and key if it is refused. Warnings are about this machine "
        "now: cameras, models, files with secrets and the root of trust.",
    )
    parser.add_argument(
        "file",
        type=named_path,
        nargs="?",
        default=CONFIG,
        metavar="FILE",
        help="default: %(default)s",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    return parser
