"""What can be known of figures before anything is measured: their names, classes and devices."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from models import manifest
from runtime.opening import read_labels
from wire.troubles import Trouble
from workshop.comparing.names import Named


@dataclass(frozen=True)
class Known:
    """models: their names. figures, of_class, of_device: names of all, and of those that have one
    for each class, or for each device. classes: of the models that tell theirs. devices: that will
    be asked."""

    models: Sequence[str]
    figures: Sequence[str]
    of_class: Sequence[str] = ()
    of_device: Sequence[str] = ()
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    devices: Sequence[str] = ()


def classes_of(models: Iterable[Named]) -> dict[str, tuple[str, ...]]:
    """The labels of each model folder that has some, by the model's name. What is wrong with a
    model is told when it is opened."""
    found = {}
    for each in models:
        if not os.path.isdir(each.path):
            continue
        try:
            labels = read_labels(manifest.load(each.path), each.path)
        except Trouble:
            continue
        if labels:
            found[each.name] = labels
    return found
