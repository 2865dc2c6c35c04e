"""Crops of what another pipeline's model never finds: said, and no reason not to run."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from models.manifest import Manifest
from runtime.panel import printable
from runtime.sharing.packets import Choice
from runtime.tracking.fruitless import DOES, INSTANCES


def idle_crops(
    choice: Choice, whose: str, manifest: Manifest | None, labels: Sequence[str]
) -> Iterator[str]:
    """A line for each thing of which the owner's model finds none. whose: what it is called.
    labels: of the model; none: it names its classes by their numbers. manifest: None: nobody knows.
    """
    does = None if manifest is None else DOES.get(manifest.task)
    if manifest is not None and manifest.task == "segment" and manifest.decoding.head == INSTANCES:
        does = None
    if does is not None:
        yield f"crop= gets nothing: {whose} {does} and finds no boxes"
        return
    for label in choice.labels if labels else ():
        if label not in labels:
            near = difflib.get_close_matches(label, labels, n=1)
            hint = f"; did you mean {printable(near[0], 100)}?" if near else ""
            what = printable(label, 100)
            yield f"{whose} finds nothing called {what}{hint}"
