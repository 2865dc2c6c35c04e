"""The parts of a report that tell where a difference comes from: confusions, classes, layers."""

from __future__ import annotations

from collections.abc import Sequence

from runtime.panel import printable
from workshop.comparing.accuracy import NOTHING, Accuracy, OfClass
from workshop.comparing.results import Compared, Layer, Layers
from workshop.comparing.words import NO_FIGURE, share
from workshop.drawing import (
    figure,
    heading,
    many_side_by_side,
    notes,
    paragraph,
    section,
    side_by_side,
    table,
)
from workshop.drawing_axes import linear
from workshop.drawing_cells import matrix
from workshop.drawing_plots import Bar, Series, bars, lines

MOST_CELLS = 24  # classes that a matrix shows
MOST_CLASSES = 20  # the worst ones of more
MOST_BARS = 40
MOST_SERIES = 5  # colours that can be told apart
MOST_PAIRS = 12  # of classes that are taken for each other
WORST = 8  # layers
NONE = "none"
NOISE_FLOOR = 120.0  # dB: beyond it float32 differs from itself


def confusions(rows: Sequence[Compared]) -> list[str]:
    """A matrix for each model; of many classes the pairs that are mixed up most."""
    judged = _alike(rows)
    if not judged:
        return []
    if all(len(each.classes) <= MOST_CELLS for _, each in judged):
        plots = [_matrix(names, each) for names, each in judged]
        words = "Rows are what is true, columns what the model says; shades are shares of a row."
        return [section("Confusion", [many_side_by_side(plots)], words)]
    parts = []
    for names, each in judged:
        parts += [heading(names), _pairs(each)]
    return [section("Confusion", parts, f"The {MOST_PAIRS} pairs that are mixed up most.")]


def _alike(rows: Sequence[Compared]) -> list[tuple[str, Accuracy]]:
    """Names and what they answer: models that answer the same count once."""
    found: list[tuple[list[str], Accuracy]] = []
    for row in rows:
        if row.accuracy is None:
            continue
        same = [names for names, each in found if each.confusion == row.accuracy.confusion]
        if same:
            same[0].append(row.name)
        else:
            found.append(([row.name], row.accuracy))
    return [(", ".join(names), each) for names, each in found]


def _matrix(name: str, judged: Accuracy) -> str:
    places = [each.index for each in judged.classes]
    names = [printable(each.label, 40) for each in judged.classes]
    counts = {(each.true, each.found): each.count for each in judged.confusion}
    if any(NOTHING in pair for pair in counts):
        places, names = [*places, NOTHING], [*names, NONE]
    cells = [[counts.get((true, found), 0) for found in places] for true in places]
    wrong = sum(count for (true, found), count in counts.items() if true != found)
    return figure(
        matrix(f"Confusion of {name}", (names, names), cells, ("true", "found")),
        f"{name}: {wrong:,} wrong of {sum(counts.values()):,}.",
    )


def _pairs(judged: Accuracy) -> str:
    labels = {each.index: printable(each.label, 60) for each in judged.classes} | {NOTHING: NONE}
    wrong = [each for each in judged.confusion if each.true != each.found]
    most = sorted(wrong, key=lambda each: -each.count)[:MOST_PAIRS]
    if not most:
        return paragraph("No two are mixed up.")
    body = [[labels[each.true], labels[each.found], f"{each.count:,}"] for each in most]
    return table(["true", "found", "how often"], body, "Most frequent first.", words=2)


def classes(rows: Sequence[Compared]) -> list[str]:
    """Recall of each class of a classifier, average precision of each of a detector."""
    judged = [(row.name, row.accuracy) for row in rows if row.accuracy is not None]
    if not judged:
        return []
    is_boxes = any(each.map50 is not None for _, each in judged)
    named = {
        index: printable(one.label, 60)
        for _, each in judged for one in each.classes for index in [one.index] if one.truths
    }  # fmt: skip
    known = [{one.index: one for one in each.classes} for _, each in judged]
    rated = {index: [_rate(by.get(index), is_boxes) for by in known] for index in named}
    order = sorted(rated, key=lambda index: min((v for v in rated[index] if v is not None),
                                                default=1.0))  # fmt: skip
    worst = order[:MOST_CLASSES]
    shown = worst if len(order) > MOST_CLASSES else sorted(worst)
    names = [name for name, _ in judged]
    what = "Average precision at IoU 0.5" if is_boxes else "Recall"
    parts = []
    if len(names) <= MOST_SERIES:
        drawn = worst[: max(4, MOST_BARS // len(names))]
        rows_of = [Bar(named[index], rated[index]) for index in shown if index in drawn]
        which = f"the {len(drawn)} lowest" if len(drawn) < len(order) else "all"
        parts.append(figure(bars(f"{what}, {which}", rows_of, names), f"{what}, {which}."))
    truths = {one.index: one.truths for _, each in judged for one in each.classes}
    body = [[named[index], f"{truths[index]:,}", *map(share, rated[index])] for index in shown]
    parts.append(table(["class", "samples", *names], body, f"{what}, and how often it is there."))
    words = (
        "" if len(order) <= MOST_CLASSES else f"The {MOST_CLASSES} worst of {len(order)} classes."
    )
    return [section("Classes", [side_by_side(parts)], words)]


def _rate(one: OfClass | None, is_boxes: bool) -> float | None:
    if one is None:
        return None
    return one.ap50 if is_boxes else one.recall


def layers(rows: Sequence[Compared]) -> list[str]:
    """How much noise each layer carries beside that of the reference."""
    looked = [(row.name, row.layers) for row in rows if row.layers is not None]
    if not looked:
        return []
    noisy = [(name, each) for name, each in looked if any(_is_noisy(one) for one in each.layers)]
    equal = [(name, each) for name, each in looked if each.layers and (name, each) not in noisy]
    parts = [
        figure(_noise(noisy[at : at + MOST_SERIES]), "Higher is closer to the reference: at 20 dB "
               "the noise is a tenth of the signal, at 40 dB a hundredth.")
        for at in range(0, len(noisy), MOST_SERIES)
    ]  # fmt: skip
    parts.append(side_by_side([_worst(name, each) for name, each in noisy]))
    why = [f"{name}: {each.why_not}" for name, each in looked if each.why_not]
    why += [
        f"{name} beside {each.beside}: the same numbers in all {len(each.layers)} layers"
        for name, each in equal
    ]
    words = (
        "The tensors behind each layer, beside those of the other network for the same samples: "
        "signal to quantization noise (SQNR)."
    )
    return [section("Layers", [*parts, notes(why)], words if noisy else "")]


def _noise(known: Sequence[tuple[str, Layers]]) -> str:
    series = [
        Series(f"{name} beside {each.beside}", [float(n + 1) for n in range(len(each.layers))],
               [_decibels(layer) for layer in each.layers])
        for name, each in known
    ]  # fmt: skip
    return lines("Signal to noise of each layer", series, "layer, in the order in which they run",
                 "SQNR, dB", across=linear)  # fmt: skip


def _is_noisy(layer: Layer) -> bool:
    return layer.sqnr_db is not None


def _decibels(layer: Layer) -> float:
    """What is equal has no noise at all, and is drawn at the floor of float32's."""
    return NOISE_FLOOR if layer.sqnr_db is None else min(NOISE_FLOOR, layer.sqnr_db)


def _worst(name: str, each: Layers) -> str:
    first = sorted(enumerate(each.layers), key=lambda pair: _decibels(pair[1]))[:WORST]
    body = [
        [f"{place + 1}", printable(layer.name.partition(";")[0], 24), layer.op,
         NO_FIGURE if layer.sqnr_db is None else f"{layer.sqnr_db:.1f}", f"{layer.cosine:.5f}",
         "\u00d7".join(map(str, layer.shape))]
        for place, layer in first
    ]  # fmt: skip
    rest = f"; {each.unmatched} without a partner" if each.unmatched else ""
    shown = table(
        ["place", "tensor", "operator", "SQNR, dB", "cosine", "shape"], body,
        f"{len(each.layers)} layers, found by {each.matched}{rest}; {each.samples} samples.",
        words=3,
    )  # fmt: skip
    return f"<div>{heading(f'{name} beside {each.beside}: its noisiest layers')}{shown}</div>"
