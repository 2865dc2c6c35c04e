"""Labels that a configuration names and a model does not know: said, and no reason not to run."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

from runtime.panel import printable
from wire.complaints import spelled
from wire.observation import Observation, labels_of


def foreign_labels(wanted: Observation, labels: Sequence[str]) -> Iterator[str]:
    """A line for each label that is not among the model's. A model without labels names its classes
    by their numbers, and nobody knows how many there are."""
    if not labels:
        return
    for path, label in labels_of(wanted):
        if label not in labels:
            near = difflib.get_close_matches(label, labels, n=1)
            hint = f"; did you mean {printable(near[0], 100)}?" if near else ""
            yield f"{spelled(path)}: the model finds nothing called {printable(label, 100)}{hint}"
