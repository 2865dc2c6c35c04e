"""What a model answers to samples, in its own numbering of classes, beside what is true."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from msgspec.structs import replace

from runtime.engines import EngineOptions
from runtime.locating import Located, locate
from runtime.loop import Model
from runtime.opening import open_model
from runtime.tasks import Box, Found
from wire.troubles import Refused
from workshop.samples import Sample, Samples

TOP = 5  # classes that are asked for at least, for top-5
SHOWN = 5  # labels in a sentence

Renumber = Callable[[Box], Box]


@dataclass(frozen=True)
class Answer:
    """One sample. truth: None where nobody knows."""

    name: str
    truth: tuple[Box, ...] | None
    found: Found


@contextmanager
def opened(
    path: Path,
    options: EngineOptions | None = None,
    engine_kind: str | None = None,
    min_score: float | None = None,
) -> Iterator[Model]:
    """A model as `runtime.opening` opens it, closed at the end of the `with`.

    A classifier is asked for its five best classes at least. min_score: in place of the manifest's,
    so that a detector's curve is drawn to its end. Raises Refused, Unavailable.
    """
    with locate(path, engine_kind) as located:
        model = open_model(asked_for_more(located, min_score), options or EngineOptions())
        try:
            yield model
        finally:
            model.engine.close()


class Answering:
    """Asks one model about samples, one at a time. Raises Refused where model and samples cannot
    mean the same classes, also when a sample shows one that the model does not know."""

    def __init__(self, model: Model, samples: Samples) -> None:
        self._model = model
        self._renumber = _numbering(model, samples)

    def answer(self, sample: Sample) -> Answer:
        """What the model finds in it; its input tensor stays as it was for this sample."""
        model = self._model
        view = model.prepare(sample.frame, model.engine.input())
        found = model.decode(model.engine.run(), view)
        truth = None if sample.truth is None else tuple(map(self._renumber, sample.truth))
        return Answer(sample.name, truth, found)


def answers_of(
    model: Model, samples: Samples, heard: Callable[[int], None] = lambda done: None
) -> Iterator[Answer]:
    """The model's answer to each sample, one after the other. heard: told how many are done.

    Raises as Answering does.
    """
    answering = Answering(model, samples)
    for done, sample in enumerate(samples, start=1):
        yield answering.answer(sample)
        heard(done)


def asked_for_more(located: Located, min_score: float | None) -> Located:
    """The model with a manifest that gives the answers which accuracy is judged by."""
    manifest = located.manifest
    if manifest is None:
        return located
    decoding = manifest.decoding
    if manifest.task == "classify":
        decoding = replace(decoding, top_k=max(TOP, decoding.top_k))
    if min_score is not None:
        decoding = replace(decoding, min_score=min_score)
    return dataclasses.replace(located, manifest=replace(manifest, decoding=decoding))


def _numbering(model: Model, samples: Samples) -> Renumber:
    """From the samples' numbers of classes to the model's: by their labels where both have some."""
    if samples.truth not in ("classes", "boxes"):
        return _same
    if not model.labels or not samples.labels:
        _check_count(model, samples)
        return _same
    places = {label: place for place, label in enumerate(model.labels)}
    if not places.keys() & set(samples.labels):
        raise _strangers(model, samples, samples.labels)

    def renumber(box: Box) -> Box:
        place = places.get(samples.labels[box.index])
        if place is None:  # it may be named among the samples' classes and never occur
            raise _strangers(model, samples, samples.labels[box.index : box.index + 1])
        return dataclasses.replace(box, index=place)

    return renumber


def _strangers(model: Model, samples: Samples, labels: Sequence[str]) -> Refused:
    return Refused(
        f"{samples.name}: the model {model.manifest.name} knows no {in_words(labels)}: its labels "
        f"are {in_words(model.labels)}: name the samples' classes as its label file does"
    )


def _check_count(model: Model, samples: Samples) -> None:
    """By their numbers alone classes are the same only where there are as many of them."""
    if model.manifest.task != "classify" or not samples.labels:
        return
    count = math.prod(model.engine.gives[0].shape)
    if count != len(samples.labels):
        raise Refused(
            f"{samples.name}: has {len(samples.labels)} classes, {model.manifest.name} tells "
            f"{count} apart and names none: give it a label file"
        )


def _same(box: Box) -> Box:
    return box


def in_words(labels: Sequence[str]) -> str:
    """The first few of them."""
    named = ", ".join(repr(label) for label in labels[:SHOWN])
    return named + (f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else "")
