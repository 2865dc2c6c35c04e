"""Tables about boxes that do nothing: said, and no reason not to run."""

from __future__ import annotations

from collections.abc import Iterator

from models.manifest import Manifest
from runtime.panel import printable
from wire.complaints import spelled
from wire.observation import Filter, Observation, labels_of
from wire.toml_lines import KeyPath

DOES = {
    "classify": "classifies whole pictures",
    "segment": "gives regions",
    "embed": "gives vectors",
    "regress": "predicts numbers",
    "raw": "gives plain numbers",
}
INSTANCES = "yolov8"  # the head of segment that gives objects


def fruitless(wanted: Observation, manifest: Manifest) -> Iterator[str]:
    """A line for each kind of table that does nothing, as the model finds no boxes; else for what
    no box can pass, and for what is there twice."""
    does = DOES.get(manifest.task)
    if does is None or (manifest.task == "segment" and manifest.decoding.head == INSTANCES):
        yield from _pointless(wanted)
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


def _pointless(wanted: Observation) -> Iterator[str]:
    every = wanted.filter
    for here, bounds, what in (
        (("filter",), every, "nothing"),
        *((("filter", "label", each), one, f"no {each}") for each, one in every.label.items()),
    ):
        if bounds.max_size is not None and 0 in bounds.max_size:
            yield (
                f"{spelled((*here, 'max_size'))}: no box is so small: {printable(what, 100)} will "
                "be found; make it larger, or leave it out"
            )
    seen: set[tuple[KeyPath, str]] = set()
    told: set[tuple[KeyPath, str]] = set()
    for one in labels_of(wanted):
        if one in seen and one not in told:
            told.add(one)
            yield f"{spelled(one[0])}: {printable(one[1], 100)} is there twice: once is enough"
        seen.add(one)
