"""Head "ssd-raw": the two outputs of an SSD whose post-process op was left out of the model.

Boxes (1, n, 4) and scores (1, n, classes), where one more class may stand for "nothing". Boxes are
offsets from anchors: of the centre in variances of the anchor's size, of width and height as
variances of a logarithm (Liu et al. 2016, arXiv:1512.02325, section 2.2; TensorFlow's
FasterRcnnBoxCoder has the inverse of a variance and calls it a scale). Or corners that are decoded
already, in shares or pixels of the input, as pytorch-ssd and YOLO-NAS are exported. Each class that
is good enough is a candidate, as in the paper.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from models.detection import boxes_of
from models.manifest import Decoding, Manifest
from runtime.engines import TensorSpec
from runtime.tasks import Decode, Found, Tensor, View
from runtime.tasks.anchors import Anchors, by_rule
from runtime.tasks.boxes import Floats, around, best_boxes
from runtime.tasks.candidates import Places, real
from runtime.tasks.every_class import EveryClass, EverySoftmax
from runtime.tasks.scores import check_size
from wire.troubles import Refused

ToCorners = Callable[[Floats, Places], Floats]


def make_head(
    manifest: Manifest,
    gives: tuple[TensorSpec, ...],
    labels: tuple[str, ...],
    anchors: Anchors | None,
) -> Decode:
    """Raises Refused if the outputs do not fit, or the anchors are not as many as the boxes."""
    boxes_at, scores_at = order_of(gives)
    boxes, scores = gives[boxes_at], gives[scores_at]
    decoding = manifest.decoding
    classes = _classes(decoding, scores)
    find = EverySoftmax if decoding.activation == "softmax" else EveryClass
    finder = find(scores, classes, decoding)
    to_corners = _to_corners(manifest, anchors, boxes.shape[1])

    def decode(outputs: tuple[Tensor, ...], view: View) -> Found:
        for place in (boxes_at, scores_at):
            check_size(gives[place], outputs[place])
        with np.errstate(all="ignore"):
            places, kinds, found = finder.find(outputs[scores_at])
            if places.size == 0:
                return ()
            corners = to_corners(real(boxes, outputs[boxes_at][0, places]), places)
            return best_boxes(corners, kinds, found, decoding, view, labels)

    return decode


def class_count(manifest: Manifest, gives: Sequence[TensorSpec]) -> int:
    """How many classes the scores tell apart, "nothing" not counted. Raises Refused."""
    classes = _classes(manifest.decoding, gives[order_of(gives)[1]])
    return int(classes.stop - classes.start)


def _classes(decoding: Decoding, scores: TensorSpec) -> slice:
    width = scores.shape[2]
    classes = slice(decoding.background == "first", width - (decoding.background == "last"))
    if classes.stop <= classes.start:
        raise Refused(
            f"the ssd-raw head needs scores of at least one class beside the background; this "
            f"model gives {scores.shape}"
        )
    if decoding.activation == "softmax" and width == 1:
        raise Refused("activation softmax makes 1.0 of a single score: use sigmoid or none")
    return classes


def order_of(gives: Sequence[TensorSpec]) -> tuple[int, int]:
    """Which output has the boxes, and which the scores: by 4 values a row; where both have that, by
    their names."""
    shapes = [each.shape for each in gives]
    fits = (
        len(shapes) == 2
        and all(len(each) == 3 and each[0] == 1 and 0 not in each for each in shapes)
        and shapes[0][1] == shapes[1][1]
        and 4 in (shapes[0][2], shapes[1][2])
    )
    if not fits:
        raise Refused(
            "the ssd-raw head needs boxes (1, n, 4) and scores (1, n, classes); this model gives "
            f"{', '.join(map(str, shapes))}"
        )
    for each in gives:
        if each.dtype == "bool":
            raise Refused(f"the ssd-raw head needs numbers: {each.name!r} is bool")
    if shapes[0][2] == shapes[1][2] == 4:
        named = [any(word in each.name.lower() for word in ("box", "loc")) for each in gives]
        return (1, 0) if named == [False, True] else (0, 1)
    return (0, 1) if shapes[0][2] == 4 else (1, 0)


def _to_corners(manifest: Manifest, anchors: Anchors | None, n: int) -> ToCorners:
    """From what the model gives to left, top, right, bottom in tensor pixels, for a few rows."""
    eats, decoding = manifest.input, manifest.decoding
    kind = boxes_of(decoding)
    order = decoding.box_order or ("yxhw" if kind == "offsets" else "xywh")
    columns = [0, 1, 2, 3] if order == "xywh" else [1, 0, 3, 2]
    pixels = np.array((eats.width, eats.height) * 2, np.float32)
    if kind != "offsets":
        scale = pixels if kind == "shares" else np.ones(4, np.float32)
        return lambda values, places: values[:, columns] * scale
    if anchors is None:
        assert decoding.anchors is not None, "a manifest names one or the other"
        anchors = by_rule(decoding.anchors, eats)
    if len(anchors) != n:
        raise Refused(
            f"the ssd-raw head needs an anchor for each box: the manifest gives {len(anchors)} "
            f"anchors, the model {n} boxes"
        )
    return _from_offsets(anchors * pixels, decoding, columns)


def _from_offsets(anchors: Anchors, decoding: Decoding, columns: list[int]) -> ToCorners:
    repeats = 4 // len(decoding.variances)
    variances = np.repeat(np.array(decoding.variances, np.float32), repeats)

    def to_corners(values: Floats, places: Places) -> Floats:
        offsets, near = values[:, columns] * variances, anchors[places]
        np.exp(offsets[:, 2:], out=offsets[:, 2:])
        np.multiply(offsets, np.tile(near[:, 2:], 2), out=offsets)
        np.add(offsets[:, :2], near[:, :2], out=offsets[:, :2])
        return around(offsets)

    return to_corners
