"""`--zones FILE` and `--track`: what `vedette run` makes of boxes, as a service would."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.cameras import Camera
from runtime.loop import Model, Result
from runtime.tracking.foreign import foreign_labels
from runtime.tracking.fruitless import fruitless
from runtime.tracking.observer import Observer
from wire import config
from wire.complaints import refusal
from wire.observation import Observation, contradictions_of
from wire.troubles import Refused
from wire.typed_toml import tables_of, typed


def add_observing_options(parser: argparse.ArgumentParser) -> None:
    """--zones, --track."""
    parser.add_argument(
        "--zones", type=Path, metavar="FILE",
        help="TOML with the tables [filter], [tracking], [zone.NAME] and [line.NAME] of a pipeline",
    )  # fmt: skip
    parser.add_argument("--track", action="store_true", help="give what is found a number each")


def observer_of(
    words: argparse.Namespace, camera: Camera, model: Model, note: Callable[[str], None]
) -> Callable[[Result], Result]:
    """What makes of a result what the user asked for. Raises Refused with file, line and key,
    Unavailable if the file cannot be read."""
    tables: dict[str, Any] = {}
    text = where = ""
    if words.zones is not None:
        text, where = config.read(words.zones, "docs/zones.md"), str(words.zones)
        tables = tables_of(text, where)
    if words.track:
        tables.setdefault("tracking", {})
    wanted = parsed(tables, text, where)
    for line in (*fruitless(wanted, model.manifest), *foreign_labels(wanted, model.labels)):
        note(line)
    return Observer(wanted, lambda: camera.layout.source)


def parsed(tables: dict[str, Any], text: str, where: str) -> Observation:
    """What the tables of a file mean. text: of the file `where`, for complaints."""
    if "pipeline" in tables:
        raise Refused(
            f"{where}: has tables of pipelines: write [zone.NAME], not [pipeline.DOOR.zone.NAME]; "
            "`vedette runtime DOOR --config FILE` runs a pipeline of a whole configuration"
        )
    wanted = typed(tables, Observation, text, where)
    for key, what in contradictions_of(wanted):
        raise refusal(where, text, key, what)
    return wanted
