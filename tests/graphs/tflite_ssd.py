"""SSD detectors as .tflite files that end in TFLite_Detection_PostProcess, as TF exports them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import flexbuffers

from tests.graphs.mobilenet import backbone
from tests.graphs.network import Network, Node
from tests.graphs.numbers import PROBABILITY, Array, Scaling, symmetric
from tests.graphs.tflite_file import File, Graph
from tests.graphs.tflite_network import Layers, begin

TF1_ORDER = ("boxes", "classes", "scores", "count")
TF2_ORDER = ("scores", "boxes", "count", "classes")
POST = "TFLite_Detection_PostProcess"
TF1_NAMES = (POST, f"{POST}:1", f"{POST}:2", f"{POST}:3")
TF2_NAMES = tuple(f"StatefulPartitionedCall:{n}" for n in range(4))
BOX_SCALES = {"y_scale": 10.0, "x_scale": 10.0, "h_scale": 5.0, "w_scale": 5.0}


def post_process(
    graph: Graph,
    boxes: int,
    scores: int,
    anchors: Array,
    classes: int,
    max_boxes: int,
    order: Sequence[str] = TF1_ORDER,
    names: Sequence[str] = TF1_NAMES,
) -> list[int]:
    """The op on float box encodings (1, N, 4) and scores (1, N, classes + 1).

    anchors: (N, 4), y, x, height, width of the centre form, 0 to 1. Returns the graph's outputs,
    float32, in `order`: boxes (1, max_boxes, 4) as ymin, xmin, ymax, xmax of the unit square;
    classes and scores (1, max_boxes); count (1,). The op writes `count` rows and leaves the rest
    of the memory as it was: garbage. It always gives its outputs in TF1_ORDER itself.
    """
    options = {
        "max_detections": max_boxes,
        "max_classes_per_detection": 1,
        "detections_per_class": 100,
        "use_regular_nms": False,
        "nms_score_threshold": 1e-8,
        "nms_iou_threshold": 0.6,
        "num_classes": classes,
        **BOX_SCALES,
    }
    shapes = {
        "boxes": (1, max_boxes, 4),
        "classes": (1, max_boxes),
        "scores": (1, max_boxes),
        "count": (1,),
    }
    named = dict(zip(order, names, strict=True))
    outputs = {part: graph.tensor(named[part], shapes[part], "float32") for part in TF1_ORDER}
    inputs = [boxes, scores, graph.constant("anchors", anchors.astype(np.float32))]
    graph.custom(
        POST,
        inputs,
        list(outputs.values()),
        bytes(flexbuffers.Dumps(options)),
    )
    return [outputs[part] for part in order]


def ssd(path: Path, size: int = 320, classes: int = 90, max_boxes: int = 10, seed: int = 0) -> None:
    """SSDLite with MobileNetV2 1.0 (Sandler et al. 2018, section 6.2), int8, random weights.

    Six maps from 1/16 of the size down, 3 anchors per cell on the first and 6 on the others
    (2,034 at size 320). Input "input" (1, size, size, 3) int8, real values -1 to 1. Outputs: as
    `post_process` says. The weights are random, so what it finds means nothing.
    """
    file = File()
    graph = file.graph()
    net = Network(Layers(graph), seed)
    x, _ = begin(graph, size, "int8", seed)
    last, middle = backbone(net, x)
    maps = [middle, last]
    for channels in (512, 256, 256, 128):
        maps.append(_extra(net, maps[-1], channels))
    boxes, scores = [], []
    for level, features in enumerate(maps):
        per_cell = 6 if level else 3
        boxes.append(_head(graph, net, features, per_cell, 4, 0.0, symmetric(8.0)))
        # the mean is what a focal loss starts from: nearly everything is background
        scores.append(_head(graph, net, features, per_cell, classes + 1, -4.6, symmetric(10.0)))
    anchors = np.concatenate([_anchors(m.sample.shape[1], i) for i, m in enumerate(maps)])
    encodings = _joined(graph, "boxes", boxes, len(anchors), 4, symmetric(8.0))
    logits = _joined(graph, "scores", scores, len(anchors), classes + 1, symmetric(10.0))
    shape = (1, len(anchors), classes + 1)
    likely = graph.tensor("likely", shape, "int8", PROBABILITY)
    graph.op("LOGISTIC", [logits], [likely])
    real = [_real(graph, encodings, (1, len(anchors), 4)), _real(graph, likely, shape)]
    file.save(path, post_process(graph, real[0], real[1], anchors, classes, max_boxes))


def _extra(net: Network, x: Node, channels: int) -> Node:
    """Half the size: squeeze, 3x3 depthwise with stride 2, expand."""
    return net.conv(net.depthwise(net.conv(x, channels // 2), stride=2), channels)


def _head(
    graph: Graph, net: Network, x: Node, per_cell: int, values: int, mean: float, scaling: Scaling
) -> int:
    """(1, cells * per_cell, values) of one map: SSDLite's depthwise, then a 1x1 convolution."""
    wide = net.conv(net.depthwise(x), per_cell * values, ceiling=None, mean=mean, scaling=scaling)
    count = wide.sample.size // values
    out = graph.tensor(f"head_{wide.handle}", (1, count, values), "int8", scaling)
    shape = graph.constant(f"head_{wide.handle}/shape", np.array([1, count, values], np.int32))
    options = schema.ReshapeOptionsT([1, count, values])
    graph.op("RESHAPE", [wide.handle, shape], [out], options)
    return out


def _joined(
    graph: Graph, name: str, parts: list[int], count: int, values: int, scaling: Scaling
) -> int:
    out = graph.tensor(name, (1, count, values), "int8", scaling)
    graph.op("CONCATENATION", parts, [out], schema.ConcatenationOptionsT(1))
    return out


def _real(graph: Graph, tensor: int, shape: tuple[int, ...]) -> int:
    out = graph.tensor(f"real_{tensor}", shape, "float32")
    graph.op("DEQUANTIZE", [tensor], [out], schema.DequantizeOptionsT())
    return out


def _anchors(cells: int, level: int) -> Array:
    """(cells * cells * per_cell, 4): Liu et al. 2016 (SSD), section 2.2, scales 0.2 to 0.95."""
    scales = [0.2 + 0.15 * n for n in range(6)] + [1.0]
    scale = scales[level]
    if level:
        between = float(np.sqrt(scale * scales[level + 1]))
        shapes = [(scale, r) for r in (1.0, 2.0, 0.5, 3.0, 1 / 3)] + [(between, 1.0)]
    else:
        shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
    centres = (np.arange(cells) + 0.5) / cells
    rows = [
        (y, x, s / np.sqrt(ratio), s * np.sqrt(ratio))
        for y in centres
        for x in centres
        for s, ratio in shapes
    ]
    return np.array(rows, np.float32)


def ssd_known(
    path: Path,
    size: int = 96,
    grid: int = 4,
    dtype: str = "uint8",
    order: Sequence[str] = TF1_ORDER,
    max_boxes: int = 10,
) -> None:
    """A detector whose answers are known: it finds cells of a grid that are red, green or blue.

    Input "input" (1, size, size, 3), dtype uint8, int8 (stored + 128 is the pixel) or float32 (0
    to 1). Each of grid x grid cells is one anchor; its score for class 0 (red) is
    max(0, R - G/2 - B/2) of the cell's mean colour, and likewise for 1 (green) and 2 (blue): 1.0
    for a pure colour, 0 for any grey. Outputs as `post_process` says, the best `max_boxes` first;
    cells that score 0 are not found. `order` permutes them, as TF2's exports do (TF2_ORDER, whose
    names are then StatefulPartitionedCall:N).
    """
    side = size // grid
    file = File()
    graph = file.graph()
    pixels = _pixels(graph, size, dtype)
    cells = graph.tensor("cells", (1, grid, grid, 3), "float32")
    pool = schema.Pool2DOptionsT(schema.Padding.VALID, side, side, side, side)
    graph.op("AVERAGE_POOL_2D", [pixels], [cells], pool)
    # class 0 of the scores is the background, which the op leaves out
    weights = np.vstack([np.zeros(3), np.full((3, 3), -0.5) + 1.5 * np.eye(3)])
    colours = graph.tensor("colours", (1, grid, grid, 4), "float32")
    inputs = [
        cells,
        graph.constant("weights", weights.astype(np.float32).reshape(4, 1, 1, 3)),
        graph.constant("bias", np.zeros(4, np.float32)),
    ]
    relu = schema.ActivationFunctionType.RELU
    graph.op("CONV_2D", inputs, [colours], schema.Conv2DOptionsT(0, 1, 1, relu))
    count = grid * grid
    scores = graph.tensor("scores_by_cell", (1, count, 4), "float32")
    shape = graph.constant("shape", np.array([1, count, 4], np.int32))
    graph.op("RESHAPE", [colours, shape], [scores], schema.ReshapeOptionsT([1, count, 4]))
    boxes = graph.constant("encodings", np.zeros((1, count, 4), np.float32))
    centre = (np.arange(grid) + 0.5) / grid
    anchors = np.array([(y, x, 1 / grid, 1 / grid) for y in centre for x in centre])
    names = TF1_NAMES if tuple(order) == TF1_ORDER else TF2_NAMES
    outputs = post_process(graph, boxes, scores, anchors, 3, max_boxes, order, names)
    file.save(path, outputs)


def _pixels(graph: Graph, size: int, dtype: str) -> int:
    """The input and, float 0 to 1, its pixels."""
    shape = (1, size, size, 3)
    if dtype == "float32":
        return graph.input("input", shape, dtype)
    stored = graph.input("input", shape, dtype, Scaling(1 / 255, 0 if dtype == "uint8" else -128))
    pixels = graph.tensor("pixels", shape, "float32")
    graph.op("DEQUANTIZE", [stored], [pixels], schema.DequantizeOptionsT())
    return pixels
