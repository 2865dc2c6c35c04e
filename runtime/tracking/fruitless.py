"""Tables about boxes for a model that finds none: said, and no reason not to run."""

from __future__ import annotations

from collections.abc import Iterator

from models.manifest import Manifest
from wire.observation import Filter, Observation

DOES = {
    "classify": "classifies whole pictures",
    "segment": "gives regions",
    "embed": "gives vectors",
    "raw": "gives plain numbers",
}
INSTANCES = "yolov8"  # the head of segment that gives objects


def fruitless(wanted: Observation, manifest: Manifest) -> Iterator[str]:
    """A line for each kind of table that does nothing, as the model finds no boxes."""
    does = DOES.get(manifest.task)
    if does is None or (manifest.task == "segment" and manifest.decoding.head == INSTANCES):
        return
    asked = {
        "filter": wanted.filter != Filter(),
        "tracking": wanted.tracking is not None,
        "zone": bool(wanted.zone),
        "line": bool(wanted.line),
    }
    for table, is_asked in asked.items():
        if is_asked:
            yield (
                f"{table}: does nothing here: {manifest.name} {does} and finds no boxes: take a "
                "detector, or leave it out"
            )
